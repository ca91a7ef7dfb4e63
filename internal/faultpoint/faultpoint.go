// Package faultpoint names moments at which a test makes the process die, as a power cut would. A build without the
// tag "faults" has none of it.
package faultpoint
