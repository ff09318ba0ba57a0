package main

import (
	"math"
	"slices"
)

// median of values; of an even number, the mean of the two in the middle. NaN if
// there is none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// ratios divides what was measured in the same repetition. Dividing medians would
// compare moments that the machine spent differently.
func ratios(values, by []float64) []float64 {
	n := min(len(values), len(by))
	r := make([]float64, n)
	for i := range n {
		r[i] = values[i] / by[i]
	}
	return r
}

// products multiplies what was measured in the same repetition.
func products(values, by []float64) []float64 {
	n := min(len(values), len(by))
	p := make([]float64, n)
	for i := range n {
		p[i] = values[i] * by[i]
	}
	return p
}

// uniformDistance is the Kolmogorov–Smirnov distance between samples and an even
// spread over [0, width]: the largest difference between the share that has
// happened by a moment and the share that should have. 0 is even, 1 is all at
// once at an end. NaN without samples.
func uniformDistance(samples []float64, width float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	n := float64(len(samples))
	d := 0.0
	for i, x := range slices.Sorted(slices.Values(samples)) {
		should := min(max(x/width, 0), 1)
		d = max(d, should-float64(i)/n, float64(i+1)/n-should)
	}
	return d
}
