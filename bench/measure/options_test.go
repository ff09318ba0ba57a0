package main

import (
	"testing"
	"time"
)

func TestSettleFillsInWhatWasLeftOpen(t *testing.T) {
	full := runCmd{}
	short := runCmd{Short: true, Connections: 500}
	one := runCmd{Cell: []string{"fanout"}}
	for _, c := range []*runCmd{&full, &short, &one} {
		if err := c.settle(); err != nil {
			t.Fatal(err)
		}
	}
	if full.Repeat != 3 || full.Connections != 15000 || full.Each != 10*time.Second || !full.complete() || full.needs() != 15000 {
		t.Errorf("%+v", full)
	}
	if short.Repeat != 1 || short.Connections != 500 || short.Subscribers != 1000 || short.complete() || short.needs() != 2000 {
		t.Errorf("%+v", short)
	}
	if one.complete() || one.needs() != 10000 {
		t.Errorf("%+v", one)
	}
}

func TestSettleRefusesWhatMeasuresNothing(t *testing.T) {
	for name, c := range map[string]runCmd{
		"no repetition":        {Repeat: -1},
		"a negative number":    {Connections: -5},
		"too short to measure": {Each: time.Millisecond},
		"a negative window":    {Drain: -time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.settle(); err == nil {
				t.Error("accepted")
			}
		})
	}
}
