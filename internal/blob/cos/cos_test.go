package cos_test

import (
	"testing"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/cos"
	"github.com/livil/gopan/internal/blob/cos/costest"
	"github.com/livil/gopan/internal/blob/object"
)

func config(s *costest.Server) cos.Config {
	return cos.Config{
		Bucket: "test-1250000000", Endpoint: s.URL, SecretID: costest.SecretID, SecretKey: costest.SecretKey,
		Store: object.Config{Init: true, Attempts: 3},
	}
}

func open(t *testing.T, c cos.Config) *object.Store {
	t.Helper()
	s, err := cos.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, config(costest.New(t))) })
	blobtest.RunStager(t, func(t *testing.T) (first, second blob.Stager) {
		server := costest.New(t)
		return open(t, config(server)), open(t, config(server))
	})
}
