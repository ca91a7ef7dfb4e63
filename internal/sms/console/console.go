// Package console shows messages on the terminal of whoever runs the drive, where no provider is set up.
package console

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/sms"
)

// Sender writes messages to a terminal.
type Sender struct {
	// Out is the terminal; never the log.
	Out io.Writer

	mu sync.Mutex
}

var _ sms.Sender = (*Sender)(nil)

// Send implements sms.Sender.
func (s *Sender) Send(_ context.Context, to sms.Phone, m sms.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := fmt.Fprintf(s.Out, "SMS %s: %s (%d min)\n", to, m.Code, int(m.Life.Minutes()))
	if err != nil {
		return errs.E(errs.Busy, "console.Send", errs.Code("sms_unavailable"), err)
	}
	return nil
}
