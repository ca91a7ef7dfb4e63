package local

import (
	"encoding/json"
	"os"
	"path"

	"github.com/livil/gopan/internal/errs"
)

// ID gives the id of the store in dir.
func ID(dir string) (string, error) {
	const op = errs.Op("local.ID")
	b, err := os.ReadFile(path.Join(dir, idFile))
	if err != nil {
		return "", diskError(op, err)
	}
	var have identity
	if err := json.Unmarshal(b, &have); err != nil || have.ID == "" {
		return "", errs.E(errs.Internal, op, "store.json holds no id")
	}
	return have.ID, nil
}
