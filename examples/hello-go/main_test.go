package main

import (
	"strings"
	"testing"
)

func TestCount(t *testing.T) {
	total, err := count(strings.NewReader("[jars]\nplum = 3\nhoney = 1\n"))
	if total != 4 || err != nil {
		t.Fatal(total, err)
	}
	if _, err := count(strings.NewReader("[jars")); err == nil {
		t.Fatal("half a table was read")
	}
}
