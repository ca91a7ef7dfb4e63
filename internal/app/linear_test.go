package app

import (
	"context"
	"testing"
	"time"

	"github.com/livil/gopan/internal/drivetest"
)

// C1, C2, C5, C6, D8: many clients at once, of which each has files of its own, and which all write the same paths. Whatever
// they are told can be explained by an order in which it happened.
func TestLinearizable(t *testing.T) {
	d := newDrive(t)
	crowd := drivetest.New(drivetest.Options{URL: d.URL(), Password: adminPassword, Seed: 1, Clients: 12})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	crowd.Work(ctx)
	r := crowd.Finish(t.Context())
	t.Log(r)
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if r.Unknown+r.Again+r.Undecided > 0 {
		t.Error("nothing was broken, and yet something has no answer")
	}
	for _, kind := range []string{"put", "move", "restore", "batch", "session", "shared put", "shared put if-match", "shared get", "shared delete"} {
		if r.Operations[kind] == 0 {
			t.Errorf("no %s was acknowledged", kind)
		}
	}
}
