package app

import (
	"context"

	"github.com/zeromicro/go-zero/core/logx"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/download"
	"github.com/livil/gopan/internal/filemeta"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/pb/userpb"
	"github.com/livil/gopan/internal/rpc"
	"github.com/livil/gopan/internal/transfer"
	"github.com/livil/gopan/internal/upload"
)

// role is one of the parts that a process can run.
type role struct {
	name string
	// needs are the roles that it calls.
	needs []string
	// serves tells that other roles call it.
	serves bool
	// start makes it part of a process.
	start func(context.Context, *Process) error
}

// roles in the order in which they start; they stop in reverse.
var roles = []role{
	{name: "user", serves: true, start: startUser},
	{name: "filemeta", needs: []string{"user"}, serves: true, start: startFilemeta},
	{name: "upload", needs: []string{"user", "filemeta"}, start: startUpload},
	{name: "download", needs: []string{"user", "filemeta"}, start: startDownload},
	{name: "transfer", needs: []string{"filemeta"}, start: startTransfer},
}

func startFilemeta(ctx context.Context, p *Process) error {
	d, err := p.database(ctx)
	if err != nil {
		return err
	}
	s := &filemeta.Service{DB: d, Users: userpb.NewUserClient(p.conn("user")), DefaultQuota: p.Config.Drive.Quota}
	p.onChange(func(c config.Config) { s.SetDefaultQuota(c.Drive.Quota) })
	if err := p.commitLog(s); err != nil {
		return err
	}
	p.serve(rpc.Service{Desc: &filemetapb.FileMeta_ServiceDesc, Impl: filemeta.RPC{Service: s}},
		filemeta.Routes(filemeta.HTTP{Service: s}))
	p.background(func(ctx context.Context) { s.Run(ctx, report("filemeta")) })
	return nil
}

func startUpload(ctx context.Context, p *Process) error {
	stores, err := p.stores(ctx)
	if err != nil {
		return err
	}
	values, err := p.values()
	if err != nil {
		return err
	}
	l := p.Config.Limits
	s := &upload.Service{
		Blobs: stores, Tree: p.tree(), Users: userpb.NewUserClient(p.conn("user")), KV: values,
		Slots: make(chan struct{}, l.Uploads), Memory: &upload.Memory{Size: l.BlockMemory},
		RequestBlocks: l.RequestBlocks, Life: p.Config.Uploads.Life,
	}
	p.onChange(func(c config.Config) {
		s.Tune(upload.Tuning{
			UserUploads: c.Limits.UserUploads, Batch: upload.Batch{Files: c.Limits.BatchFiles, Bytes: c.Limits.BatchBytes},
			Dedupe: upload.Dedupe{Others: c.Dedupe.Scope == "global", MinSize: c.Dedupe.MinSize},
		})
	})
	p.routes = append(p.routes, upload.Routes(s)...)
	return nil
}

func startDownload(ctx context.Context, p *Process) error {
	stores, err := p.stores(ctx)
	if err != nil {
		return err
	}
	d := p.Config.Download
	s := &download.Service{
		Blobs: &blob.Verifier{Store: stores, Always: p.Config.Blob.Verify == "always"}, Tree: p.tree(),
		Limits: new(download.Limits),
	}
	p.onChange(func(c config.Config) {
		l := c.Limits
		s.Tune(download.Archives{Entries: l.ArchiveEntries, Bytes: l.ArchiveBytes}, l.UserDownloads, l.UserRate)
	})
	if d.Redirect {
		s.Redirect = download.Redirect{Links: stores, MinSize: d.RedirectMinSize, Life: d.RedirectLife}
	}
	p.routes = append(p.routes, download.Routes(s)...)
	return nil
}

func startTransfer(ctx context.Context, p *Process) error {
	s, err := p.transfer(ctx)
	if err != nil {
		return err
	}
	p.background(func(ctx context.Context) { s.Run(ctx, report("transfer")) })
	return p.applyCommits()
}

// transfer is the work on the stores.
func (p *Process) transfer(ctx context.Context) (*transfer.Service, error) {
	stores, err := p.stores(ctx)
	if err != nil {
		return nil, err
	}
	values, err := p.values()
	if err != nil {
		return nil, err
	}
	w := p.Config.Work
	return &transfer.Service{
		Blobs: stores, Tree: p.tree(), KV: values, Grace: w.Grace, Confirm: w.Confirm, UploadLife: p.Config.Uploads.Life, Every: w.Every,
		SumRate: w.SumRate, ScrubRate: w.ScrubRate, ScrubEvery: w.ScrubEvery,
	}, nil
}

// tree is the way to the filemeta role.
func (p *Process) tree() filemetapb.FileMetaClient {
	return filemetapb.NewFileMetaClient(p.conn("filemeta"))
}

func (p *Process) serve(s rpc.Service, routes []httpapi.Route) {
	p.services = append(p.services, s)
	p.routes = append(p.routes, routes...)
}

// report gives a function that logs what goes wrong in the background.
func report(what string) func(error) {
	return func(err error) {
		if err != nil {
			logx.Errorw("background work failed", logx.Field("in", what), logx.Field("error", err.Error()))
		}
	}
}
