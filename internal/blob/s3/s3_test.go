package s3_test

import (
	"testing"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/object"
	"github.com/livil/gopan/internal/blob/s3"
	"github.com/livil/gopan/internal/blob/s3/s3test"
)

func config(s s3test.Server, bucket string) s3.Config {
	return s3.Config{
		Endpoint: s.URL, CAFile: s.CAFile, Bucket: bucket, AccessKey: s3test.AccessKey, SecretKey: s3test.SecretKey,
		Store: object.Config{Init: true},
	}
}

func open(t *testing.T, c s3.Config) *object.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Every server passes the suite.
func TestStore(t *testing.T) {
	for _, c := range []struct {
		name  string
		start func(testing.TB) s3test.Server
	}{{"MinIO", s3test.MinIO}, {"Versity", s3test.Versity}} {
		t.Run(c.name, func(t *testing.T) {
			server := c.start(t)
			blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, config(server, server.Bucket(t))) })
			blobtest.RunStager(t, func(t *testing.T) (first, second blob.Stager) {
				bucket := server.Bucket(t)
				return open(t, config(server, bucket)), open(t, config(server, bucket))
			})
		})
	}
}
