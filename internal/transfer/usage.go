package transfer

import (
	"context"

	"github.com/livil/gopan/internal/blob"
)

// Usage is what is in one store, for people and programs.
type Usage struct {
	Name  string `json:"name"`
	Blobs int64  `json:"blobs"`
	Bytes int64  `json:"bytes"`
	// Error tells why the store cannot be used now; then the counts are not complete.
	Error string `json:"error,omitempty"`
}

// Usage counts what is in each store, in use or not. A store that does not answer is no failure of it.
func (s *Service) Usage(ctx context.Context) ([]Usage, error) {
	var all []Usage
	for _, st := range s.Blobs.All {
		u := Usage{Name: st.Name}
		err := st.Check(ctx)
		if err == nil {
			err = st.List(ctx, func(e blob.Entry) error {
				if e.Foreign == "" {
					u.Blobs++
					u.Bytes += e.Size
				}
				return nil
			})
		}
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		if err != nil {
			u.Error = err.Error()
		}
		all = append(all, u)
	}
	return all, nil
}
