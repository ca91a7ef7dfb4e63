// Package gopan is the map of the system; the code is in the folders below.
//
// Gopan is a self-hosted cloud drive: five roles that run as one process on a laptop and as many processes on
// a cluster, from one binary.
//
//	user      who you are: accounts, sessions, credentials
//	filemeta  the tree: folders, files, versions, quota; the only owner of file metadata
//	upload    bytes in: hashed block by block on the way, durable before the answer
//	download  bytes out: ranges, entity tags, sendfile
//	transfer  work behind the scenes: collection of unused blobs, sums, checks
//
// A file's bytes are a blob, named by its digest and immutable. A file in the tree has versions, each of which
// refers to a blob. An upload stores a blob first, makes it durable, and then commits it to the tree through
// the commit log; that is the only way file metadata enters.
//
// Imports point one way, and layers_test.go keeps it so:
//
//	errs pb drivepath → blob kv event db auth sms oauth → rpc httpapi → roles → app → cmd
//
// Start reading at internal/app (how a process is put together), then internal/upload/upload.go (how bytes come
// in) and internal/filemeta/apply.go (how a commit reaches the tree). docs/architecture.md has the picture.
package gopan
