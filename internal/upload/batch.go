package upload

import "net/http"

// Batch x
type Batch struct {
	Files int
	Bytes int64
}

// PutBatch implements API.
func (s *Service) PutBatch(w http.ResponseWriter, r *http.Request) error { return nil }
