package download

import (
	"testing"
	"time"
)

// A5: users who are done leave nothing behind for ever, and those who are not keep what they took.
func TestUsagesAreForgotten(t *testing.T) {
	l := &Limits{Downloads: 2, Rate: 1 << 20}
	busy, end, err := l.begin(1)
	if err != nil {
		t.Fatal(err)
	}
	spent, done, err := l.begin(2)
	if err != nil {
		t.Fatal(err)
	}
	spent.bucket.ReserveN(time.Now(), spent.bucket.Burst())
	spent.bucket.SetLimit(0) // it fills no more, however slow this test is
	done()
	for id := int64(10); id < 10_000; id++ {
		_, end, err := l.begin(id)
		if err != nil {
			t.Fatal(err)
		}
		end()
	}
	if len(l.users) > 2*keepUsages {
		t.Errorf("%d users are kept", len(l.users))
	}
	if l.users[1] != busy {
		t.Error("a user who downloads was forgotten")
	}
	if l.users[2] != spent {
		t.Error("a user whose rate is used up got a new one")
	}
	end()
}
