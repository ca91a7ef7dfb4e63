package drivetest

import (
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"
)

// op is an operation of a history between two moments.
func op(call, end int64, in deed, out result) porcupine.Operation {
	return porcupine.Operation{Input: in, Output: out, Call: call, Return: end}
}

var (
	putA      = deed{kind: writes, digest: "a"}
	putB      = deed{kind: writes, digest: "b"}
	madeA     = result{digest: "a", etag: "A", id: "1", version: 1, created: true}
	overA     = result{digest: "b", etag: "B", id: "1", version: 2}
	look      = deed{kind: reads}
	seesA     = result{digest: "a", etag: "A"}
	seesB     = result{digest: "b", etag: "B"}
	nothing   = result{missing: true}
	perhaps   = result{unknown: true}
	onlyOverA = deed{kind: writes, digest: "c", ifMatch: "A"}
)

// C1, C5, C6, D1, D8: the judge accepts what can have happened, and nothing else.
func TestModel(t *testing.T) {
	for name, c := range map[string]struct {
		possible bool
		history  []porcupine.Operation
	}{
		"one after the other":   {true, []porcupine.Operation{op(1, 2, putA, madeA), op(3, 4, look, seesA), op(5, 6, putB, overA), op(7, 8, look, seesB)}},
		"lost":                  {false, []porcupine.Operation{op(1, 2, putA, madeA), op(3, 4, look, nothing)}},
		"old is read":           {false, []porcupine.Operation{op(1, 2, putA, madeA), op(3, 4, putB, overA), op(5, 6, look, seesA)}},
		"old is read meanwhile": {true, []porcupine.Operation{op(1, 2, putA, madeA), op(3, 9, putB, overA), op(5, 6, look, seesA)}},
		"new, then old": {false, []porcupine.Operation{
			op(1, 2, putA, madeA), op(3, 9, putB, overA), op(4, 5, look, seesB), op(6, 7, look, seesA),
		}},
		"unknown, seen late":  {true, []porcupine.Operation{op(1, 2, putA, madeA), op(3, never, putB, perhaps), op(5, 6, look, seesA), op(7, 8, look, seesB)}},
		"unknown, never seen": {true, []porcupine.Operation{op(1, 2, putA, madeA), op(3, never, putB, perhaps), op(5, 6, look, seesA)}},
		"unknown, seen and gone": {false, []porcupine.Operation{
			op(1, 2, putA, madeA), op(3, never, putB, perhaps), op(5, 6, look, seesB), op(7, 8, look, seesA),
		}},
		"If-Match of two at once, both succeed": {false, []porcupine.Operation{
			op(1, 2, putA, madeA), op(3, 9, onlyOverA, result{digest: "c", etag: "C", id: "1", version: 2}),
			op(3, 9, deed{kind: writes, digest: "d", ifMatch: "A"}, result{digest: "d", etag: "D", id: "1", version: 3}),
		}},
		"If-Match of two at once, one succeeds": {true, []porcupine.Operation{
			op(1, 2, putA, madeA), op(3, 9, onlyOverA, result{digest: "c", etag: "C", id: "1", version: 2}),
			op(3, 9, deed{kind: writes, digest: "d", ifMatch: "A"}, result{refused: true}),
		}},
		"If-Match is refused for nothing": {false, []porcupine.Operation{op(1, 2, putA, madeA), op(3, 4, onlyOverA, result{refused: true})}},
		"If-None-Match over a file": {false, []porcupine.Operation{
			op(1, 2, putA, madeA), op(3, 4, deed{kind: writes, digest: "b", ifNone: true}, overA),
		}},
		"a version is passed over": {false, []porcupine.Operation{op(1, 2, putA, madeA), op(3, 4, putB, result{digest: "b", etag: "B", id: "1", version: 3})}},
		"made twice":               {false, []porcupine.Operation{op(1, 2, putA, madeA), op(3, 4, putB, result{digest: "b", etag: "B", id: "2", version: 1, created: true})}},
		"deleted, then there":      {false, []porcupine.Operation{op(1, 2, putA, madeA), op(3, 4, deed{kind: erases, id: "1"}, result{}), op(5, 6, look, seesA)}},
		"deleted by both": {false, []porcupine.Operation{
			op(1, 2, putA, madeA), op(3, 9, deed{kind: erases, id: "1"}, result{}), op(3, 9, deed{kind: erases, id: "1"}, result{}),
		}},
		"deleted by an earlier try": {true, []porcupine.Operation{
			op(1, 2, putA, madeA), op(3, 4, deed{kind: erases, id: "1"}, result{missing: true, vague: true}), op(5, 6, look, nothing),
		}},
		"not found, though there": {false, []porcupine.Operation{op(1, 2, putA, madeA), op(3, 4, deed{kind: erases, id: "1"}, nothing)}},
		"took effect and was deleted since": {true, []porcupine.Operation{
			op(1, 9, putA, result{vague: true}), op(2, 3, look, result{digest: "a", etag: "A", id: "1", version: 1}),
			op(4, 5, deed{kind: erases, id: "1"}, result{}),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShared("/x")
			s.histories["/x/y"] = c.history
			var r Report
			s.judge(&r)
			if (r.Err() == nil) != c.possible || r.Histories != 1 || r.Judged != len(c.history) {
				t.Errorf("%v; want it possible: %v", r, c.possible)
			}
			if !c.possible && !strings.Contains(r.String(), "client 0") {
				t.Errorf("it does not tell what cannot be: %v", r)
			}
		})
	}
}
