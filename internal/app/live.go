package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/zeromicro/go-zero/core/logx"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/etcd"
)

// settingsKey is where etcd has the settings that change while processes run, as one document.
const settingsKey = "settings"

// live are the settings of a process that change while it runs.
type live struct {
	mu sync.Mutex
	// base is what the file says, over what etcd does.
	base     config.Config
	document []byte
	// apply hands settings to the parts of the process.
	apply []func(config.Config)
}

// onChange has fn called with the settings, now and whenever they have changed. What comes with them is whole and
// checked.
func (p *Process) onChange(fn func(config.Config)) {
	p.live.mu.Lock()
	defer p.live.mu.Unlock()
	p.live.apply = append(p.live.apply, fn)
	if c, err := p.live.base.With(p.live.document); err == nil {
		fn(c)
	}
}

// change takes a file's settings, or etcd's document, or both. When the outcome makes no sense, all stays as it was.
func (l *live) change(base *config.Config, document []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next, over := l.base, l.document
	if base != nil {
		next = *base
	}
	if document != nil {
		over = document
	}
	c, err := next.With(over)
	if err != nil {
		return errs.E(errs.Invalid, "app.change", err)
	}
	l.base, l.document = next, over
	for _, fn := range l.apply {
		fn(c)
	}
	return nil
}

// Reload takes the live settings of a file that was read again; the others need a new start.
func (p *Process) Reload(c config.Config) error {
	const op = errs.Op("app.Reload")
	document, err := c.Live()
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	next, err := p.Config.With(document)
	if err != nil {
		return errs.E(errs.Invalid, op, err)
	}
	return errs.Wrap(op, p.live.change(&next, nil))
}

// followSettings begins to take settings from etcd. The process is not ready before it has read them once.
func (p *Process) followSettings() {
	if p.etcd == nil {
		return
	}
	read := make(chan struct{})
	var once sync.Once
	p.background(func(ctx context.Context) {
		p.etcd.Watch(ctx, settingsKey, func(all map[string]string) {
			// A value that makes no sense is told, and the old one stays.
			report("settings")(p.live.change(nil, []byte(all[""])))
			once.Do(func() { close(read) })
		}, nil)
	})
	p.checks = append(p.checks, func(context.Context) error {
		select {
		case <-read:
			return nil
		default:
			return errs.E(errs.Busy, "app.settings", errs.Code("etcd_unavailable"), errors.New("settings were not read yet"))
		}
	})
	select { // where etcd answers, nobody is served by older settings
	case <-read:
	case <-time.After(settingsWait):
	}
}

// settingsWait is how long a start waits for settings from etcd.
const settingsWait = 2 * time.Second

// rules are the policies, as the stores take them.
func rules(policies []config.Policy) []blob.Rule {
	out := make([]blob.Rule, 0, len(policies))
	for _, r := range policies {
		out = append(out, blob.Rule{Drive: r.Drive, MinSize: r.MinSize, Store: r.Store})
	}
	return out
}

func setLogLevel(c config.Config) {
	switch c.Log.Level {
	case "debug":
		logx.SetLevel(logx.DebugLevel)
	case "error":
		logx.SetLevel(logx.ErrorLevel)
	default:
		logx.SetLevel(logx.InfoLevel)
	}
}

// Settings are those of an installation's etcd.
type Settings struct {
	base   config.Config
	client *etcd.Client
}

// OpenSettings gives the settings in the etcd that c names.
func OpenSettings(c config.Config) (*Settings, error) {
	const op = errs.Op("app.OpenSettings")
	if err := c.Check(); err != nil {
		return nil, errs.E(errs.Invalid, op, err)
	}
	p := &Process{Config: c}
	if err := p.openEtcd(); err != nil {
		return nil, errs.Wrap(op, err)
	}
	return &Settings{base: c, client: p.etcd}, nil
}

// Close closes the connection.
func (s *Settings) Close() error {
	if s.client == nil {
		return nil
	}
	return s.client.Close()
}

// Setting is a live setting's value.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	// From is etcd, or file for the file of settings and the defaults.
	From string `json:"from"`
}

// All gives every live setting. If etcd has something that makes no sense, processes go on with what they had; it is an error here.
func (s *Settings) All(ctx context.Context) ([]Setting, error) {
	const op = errs.Op("app.Settings.All")
	var document []byte
	if s.client != nil {
		v, err := s.client.Get(ctx, settingsKey)
		if err != nil {
			return nil, errs.Wrap(op, err)
		}
		document = v.Bytes
	}
	effective, err := s.base.With(document)
	if err != nil {
		return nil, errs.E(errs.Invalid, op, err)
	}
	whole, err := effective.Live()
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	values, err := config.Values(whole)
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	over, err := config.Values(document)
	if err != nil {
		return nil, errs.E(errs.Invalid, op, err)
	}
	var all []Setting
	for _, key := range config.LiveKeys {
		from := "file"
		if _, ok := over[key]; ok {
			from = "etcd"
		}
		all = append(all, Setting{key, values[key], from})
	}
	return all, nil
}

// Set changes a setting in all processes. A value that makes no sense is errs.Invalid and changes nothing.
func (s *Settings) Set(ctx context.Context, key, value string) error {
	return s.edit(ctx, func(document []byte) ([]byte, error) { return config.Set(document, key, value) })
}

// Unset gives a setting back to the file.
func (s *Settings) Unset(ctx context.Context, key string) error {
	return s.edit(ctx, func(document []byte) ([]byte, error) { return config.Unset(document, key) })
}

func (s *Settings) edit(ctx context.Context, fn func([]byte) ([]byte, error)) error {
	const op = errs.Op("app.Settings.edit")
	if s.client == nil {
		return errs.E(errs.Invalid, op, errors.New("etcd.endpoints names no etcd: change the file of settings, and send the drive a SIGHUP"))
	}
	for {
		old, err := s.client.Get(ctx, settingsKey)
		if err != nil {
			return errs.Wrap(op, err)
		}
		document, err := fn(old.Bytes)
		if err != nil {
			return errs.E(errs.Invalid, op, err)
		}
		if _, err := s.base.With(document); err != nil {
			return errs.E(errs.Invalid, op, err)
		}
		err = s.client.Put(ctx, settingsKey, old, document)
		if !errs.Is(errs.Stale, err) {
			return errs.Wrap(op, err)
		}
	}
}
