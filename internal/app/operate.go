package app

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/filemeta"
	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/rpc"
	"github.com/livil/gopan/internal/transfer"
)

// beside is a process that serves nobody, on a data folder that is there, for work beside the drive. stop ends it.
func beside(ctx context.Context, c config.Config) (p *Process, stop func() error, err error) {
	const op = errs.Op("app.beside")
	p = &Process{Config: c, Out: io.Discard}
	p.Config.Log.Level = "error"
	if _, err := os.Stat(c.Data); err != nil {
		return nil, nil, errs.E(errs.NotFound, op, err)
	}
	if err := p.prepare(ctx, false); err != nil {
		return nil, nil, errs.Wrap(op, err)
	}
	return p, func() error { return p.Stop(context.WithoutCancel(ctx)) }, nil
}

// Operate gives fn the work behind the scenes on a data folder, whether or not a drive is running on it.
func Operate(ctx context.Context, c config.Config, fn func(context.Context, *transfer.Service) error) (err error) {
	const op = errs.Op("app.Operate")
	p, stop, err := beside(ctx, c)
	if err != nil {
		return errs.Wrap(op, err)
	}
	defer func() { err = errors.Join(err, stop()) }()
	d, err := p.database(ctx)
	if err != nil {
		return errs.Wrap(op, err)
	}
	p.services = append(p.services, rpc.Service{
		Desc: &filemetapb.FileMeta_ServiceDesc, Impl: filemeta.RPC{Service: &filemeta.Service{DB: d}},
	})
	work, err := p.transfer(ctx)
	if err != nil {
		return errs.Wrap(op, err)
	}
	p.conns["filemeta"].ClientConnInterface = rpc.Local(p.services)
	return errs.Wrap(op, fn(ctx, work))
}
