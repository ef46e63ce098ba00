package sim

import "golang.org/x/sys/unix"

// thread names the thread of the operating system that calls.
func thread() int { return unix.Gettid() }
