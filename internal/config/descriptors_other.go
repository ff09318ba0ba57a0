//go:build !linux && !darwin

package config

// descriptorLimit is unknown here; memory alone decides.
func descriptorLimit() int64 { return 0 }
