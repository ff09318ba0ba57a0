package main

import (
	"math"
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{
		{[]float64{7}, 7},
		{[]float64{3, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		in := slices.Clone(c.in)
		if got := median(in); got != c.want || !slices.Equal(in, c.in) {
			t.Errorf("median of %v is %v, and leaves %v; want %v", c.in, got, in, c.want)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("there is no median of nothing")
	}
}

func TestRatiosAndProductsAreTakenWithinARepetition(t *testing.T) {
	if got := ratios([]float64{10, 30, 5}, []float64{10, 20}); !slices.Equal(got, []float64{1, 1.5}) {
		t.Errorf("got %v", got)
	}
	if got := products([]float64{10, 30, 5}, []float64{1, 2}); !slices.Equal(got, []float64{10, 60}) {
		t.Errorf("got %v", got)
	}
}

func TestUniformDistance(t *testing.T) {
	even := make([]float64, 1000)
	for i := range even {
		even[i] = 10 * float64(i) / 1000
	}
	for name, c := range map[string]struct {
		samples []float64
		want    float64
	}{
		"evenly spread":          {even, 0.001},
		"all at the start":       {[]float64{0, 0, 0}, 1},
		"all at the end":         {[]float64{10, 10}, 1},
		"all in the middle":      {[]float64{5, 5, 5, 5}, 0.5},
		"after the window":       {[]float64{11, 12}, 1},
		"in any order":           {[]float64{7.5, 2.5}, 0.25},
		"the first half is gone": {even[500:], 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			if got := uniformDistance(c.samples, 10); math.Abs(got-c.want) > 0.0015 {
				t.Errorf("%v; want %v", got, c.want)
			}
		})
	}
	if !math.IsNaN(uniformDistance(nil, 10)) {
		t.Error("there is no distance of nothing")
	}
}
