package upload

// Tuning is what may change while a Service runs. Requests that are under way end by what they began with.
type Tuning struct {
	// The fields of Service of these names.
	UserUploads int
	Batch       Batch
	Dedupe      Dedupe
}

// Tune changes a Service that may be running.
func (s *Service) Tune(t Tuning) { s.tuned.Store(&t) }

// tuning is what counts now.
func (s *Service) tuning() Tuning {
	if t := s.tuned.Load(); t != nil {
		return *t
	}
	return Tuning{UserUploads: s.UserUploads, Batch: s.Batch, Dedupe: s.Dedupe}
}
