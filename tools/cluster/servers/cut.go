package servers

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A node can be cut off from the network while it runs, without addresses of its own: it is in a control group, whose
// sockets the kernel asks a small program about each packet (BPF, https://docs.kernel.org/bpf/). Sockets in the file system, by which an operator
// gets into MySQL, go on.

// controlGroups is where those of version 2 are, which is the one that has networks.
func controlGroups() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			return f[1], nil
		}
	}
	return "", errors.New("no control groups of version 2 are mounted")
}

// group is the node's, in which its processes are.
func (n *Node) group() (string, error) {
	root, err := controlGroups()
	return filepath.Join(root, fmt.Sprintf("gopan-%.8x", sha256.Sum256([]byte(n.Dir)))), err
}

// CanCut tells why nodes cannot be cut off on this machine; nil means they can.
func CanCut() error {
	if _, err := controlGroups(); err != nil {
		return err
	}
	program, err := loadDrop(nil, unix.BPF_CGROUP_INET_INGRESS)
	if err != nil {
		return err
	}
	return unix.Close(program)
}

// Cut takes every packet from the node and to it, until Mend; of ports, if any are given, only those packets that come from or go to one of them.
func (n *Node) Cut(ports ...int) error {
	return n.inGroup(func(group int) error {
		for _, direction := range directions {
			program, err := loadDrop(ports, direction)
			if err != nil {
				return err
			}
			err = bpf(unix.BPF_PROG_ATTACH, unsafe.Pointer(&bpfAttach{target: uint32(group), program: uint32(program), kind: direction}), unsafe.Sizeof(bpfAttach{}))
			if err = errors.Join(err, unix.Close(program)); err != nil {
				return fmt.Errorf("cutting %s %s off: %w", n.Component, n.Name, err)
			}
		}
		return nil
	})
}

// Mend lets a node that was cut off or paused go on.
func (n *Node) Mend() error {
	if n.PID() > 0 {
		if err := n.Resume(); err != nil {
			return err
		}
	}
	if dir, err := n.group(); err != nil || !exists(dir) {
		return nil // it could not be cut off
	}
	return n.inGroup(func(group int) error {
		for _, direction := range directions {
			err := bpf(unix.BPF_PROG_DETACH, unsafe.Pointer(&bpfAttach{target: uint32(group), kind: direction}), unsafe.Sizeof(bpfAttach{}))
			if err != nil && !errors.Is(err, unix.ENOENT) { // nothing was there
				return fmt.Errorf("connecting %s %s again: %w", n.Component, n.Name, err)
			}
		}
		return nil
	})
}

// dropGroup removes the control group of a node that has ended; one in which something still is stays, and is used again.
func (n *Node) dropGroup() {
	dir, err := n.group()
	if err != nil {
		return
	}
	for range 40 { // what was killed goes in its own time
		if err := os.Remove(dir); !errors.Is(err, unix.EBUSY) {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
}

var directions = []uint32{unix.BPF_CGROUP_INET_INGRESS, unix.BPF_CGROUP_INET_EGRESS}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// inGroup does something with the node's control group.
func (n *Node) inGroup(do func(group int) error) error {
	dir, err := n.group()
	if err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return do(int(f.Fd()))
}

// bpfLoad and bpfAttach are the kernel's union bpf_attr for two commands (linux/bpf.h).
type bpfLoad struct {
	kind, count           uint32
	instructions, license uint64
	logLevel, logSize     uint32
	log                   uint64
	version, flags        uint32
	name                  [16]byte
	device, direction     uint32
}

type bpfAttach struct{ target, program, kind, flags uint32 }

func bpf(command int, attributes unsafe.Pointer, size uintptr) error {
	if _, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(attributes), size); errno != 0 {
		return errno
	}
	return nil
}

// loadDrop gives the kernel a program that takes packets.
func loadDrop(ports []int, direction uint32) (int, error) {
	code, license := drop(ports), []byte("Apache-2.0\x00")
	load := bpfLoad{
		kind: unix.BPF_PROG_TYPE_CGROUP_SKB, count: uint32(len(code)), direction: direction,
		instructions: uint64(uintptr(unsafe.Pointer(&code[0]))), license: uint64(uintptr(unsafe.Pointer(&license[0]))),
	}
	program, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&load)), unsafe.Sizeof(load))
	runtime.KeepAlive(code)
	runtime.KeepAlive(license)
	if errno != 0 {
		return 0, fmt.Errorf("the kernel takes no program for packets: %w", errno)
	}
	return int(program), nil
}

// drop is a program that answers 0, no, to packets from or to one of the ports, or to all if there are none. They are IPv4 without
// options, as everything is on 127.0.0.1: the ports are at 20 and 22. What is too short for ports passes.
func drop(ports []int) []uint64 {
	const (
		ends = 24
		exit = 0x95
	)
	op := func(code, to, from, offset, value int) uint64 { // struct bpf_insn, least byte first
		return uint64(code) | uint64(to)<<8 | uint64(from)<<12 | uint64(offset)<<16 | uint64(value)<<32
	}
	answer := func(n int) uint64 { return op(0xb7, 0, 0, 0, n) } // r0 = n
	if len(ports) == 0 {
		return []uint64{answer(0), exit}
	}
	yes := 5 + 2*(2+len(ports))
	no := yes + 2
	code := []uint64{
		op(0x61, 2, 1, 76, 0),      // r2 = packet->data
		op(0x61, 3, 1, 80, 0),      // r3 = packet->data_end
		op(0xbf, 4, 2, 0, 0),       // r4 = r2
		op(0x07, 4, 0, 0, ends),    // r4 += 24
		op(0x2d, 4, 3, yes-4-1, 0), // if r4 > r3 goto yes
	}
	for _, at := range []int{20, 22} {
		code = append(code, op(0x69, 0, 2, at, 0), op(0xdc, 0, 0, 0, 16)) // r0 = the port there, from the network's order
		for _, p := range ports {
			code = append(code, op(0x15, 0, 0, no-len(code)-1, p)) // if r0 == p goto no
		}
	}
	return append(code, answer(1), exit, answer(0), exit)
}
