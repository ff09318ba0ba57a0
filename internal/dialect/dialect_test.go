package dialect

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCompact(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"an object keeps key order and duplicates": {`{"b":1,"a":2,"b":3}`, `{"b":1,"a":2,"b":3}`},
		"white space outside strings goes":         {" { \"a\" :\t[ 1 ,\r\n2 ] } \n", `{"a":[1,2]}`},
		"white space inside strings stays":         {`"a  b\n"`, `"a  b\n"`},
		"numbers keep their spelling":              {`[1.0,1e5,-0,12345678901234567890.10]`, `[1.0,1e5,-0,12345678901234567890.10]`},
		"escapes keep their spelling":              {`"\u00e9\/\ud83d\ude00"`, `"\u00e9\/\ud83d\ude00"`},
		"a lone surrogate escape is JSON":          {`"\ud800"`, `"\ud800"`},
		"HTML is not escaped":                      {`"<b>&</b>"`, `"<b>&</b>"`},
		"line separators are not escaped":          {"\"\u2028\u2029\"", "\"\u2028\u2029\""},
		"a bare string":                            {`"hi"`, `"hi"`},
		"null":                                     {`null`, `null`},
		"an empty object":                          {`{ }`, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Compact([]byte(c.in))
			if err != nil || string(got) != c.want {
				t.Fatalf("Compact(%q) = %q, %v; want %q", c.in, got, err, c.want)
			}
		})
	}
}

func TestCompactRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":                       "",
		"white space alone":             " \n",
		"plain words":                   "hello",
		"single quotes":                 "{'a':1}",
		"two values":                    "1 2",
		"a trailing comma":              "[1,]",
		"half an object":                `{"a":`,
		"a byte order mark":             "\ufeff1",
		"a control character in string": "\"a\x01\"",
		"invalid UTF-8 in a string":     "\"\xff\"",
		"an encoded surrogate":          "\"\xed\xa0\x80\"",
		"NaN":                           "NaN",
		"leading zero":                  "01",
		"nesting beyond any use":        strings.Repeat("[", 20000) + strings.Repeat("]", 20000),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Compact([]byte(in))
			var e *Error
			if !errors.As(err, &e) || e.Code != InvalidJSON {
				t.Fatalf("Compact(%.20q) = %v; want %s", in, err, InvalidJSON)
			}
			if len(e.Message) < 20 {
				t.Errorf("message %q does not say enough", e.Message)
			}
		})
	}
}

func TestMessageFrameIsTheContractToTheByte(t *testing.T) {
	if got := string(AppendMessage(nil, []byte(`{"a":1}`))); got != `{"message":{"a":1}}` {
		t.Fatal(got)
	}
	if got := MessageSize([]byte(`{"a":1}`)); got != len(`{"message":{"a":1}}`) {
		t.Fatal(got)
	}
}

func TestErrorFrameIsTheContractToTheByte(t *testing.T) {
	e := &Error{InvalidJSON, `bad "x"`}
	if got := string(e.AppendFrame(nil)); got != `{"error":{"code":"invalid_json","message":"bad \"x\""}}` {
		t.Fatal(got)
	}
}

func TestErrorsSayWhere(t *testing.T) {
	_, err := Compact([]byte(`{"a":1,}`))
	if want := "(byte 8)"; !strings.Contains(err.Error(), want) {
		t.Errorf("%v; want %s", err, want)
	}
}

func FuzzCompact(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,"x\u0000"]}`, ` [ ] `, "hello", "\"\xff\"", `"\ud800"`, "", "{"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		out, err := Compact(p)
		if err != nil {
			frame := err.(*Error).AppendFrame(nil)
			if !json.Valid(frame) || !utf8.Valid(frame) {
				t.Fatalf("error frame %q is not JSON", frame)
			}
			return
		}
		frame := AppendMessage(nil, out)
		if !json.Valid(frame) || !utf8.Valid(frame) {
			t.Fatalf("frame %q is not JSON in UTF-8", frame)
		}
		again, err := Compact(out)
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("compacting twice: %q then %q, %v", out, again, err)
		}
	})
}
