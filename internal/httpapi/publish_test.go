package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"fairlead/internal/hub"
)

const testKey = "a-key-for-the-tests"

func publishing(o *Options) {
	o.Settings.Publish.Keys = []string{"another-key-for-tests", testKey}
	o.Settings.Limits.MaxMessageBytes = 1000
}

// post publishes as a backend; header pairs override the usual ones.
func (k *task) post(channel, body string, header ...string) (*http.Response, string) {
	k.t.Helper()
	r, err := http.NewRequest(http.MethodPost, k.http.URL+"/channels/"+channel+"/messages", strings.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testKey)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return resp, string(answer)
}

func TestBackendPublishesWithOneCall(t *testing.T) {
	k := startTask(t, publishing)
	plain, resumable := k.join("?channel=c"), k.join("?channel=c&since=now")
	resumable.hello()
	resp, body := k.post("c", ` { "a" : 1 } `)
	var answer struct{ Position string }
	if resp.StatusCode != http.StatusAccepted || json.Unmarshal([]byte(body), &answer) != nil || answer.Position == "" {
		t.Fatalf("%s %q", resp.Status, body)
	}
	plain.expect(`{"message":{"a":1}}`)
	resumable.expect(`{"message":{"a":1},"position":"` + answer.Position + `"}`)

	// What was published before anybody was there can be resumed from.
	_, body = k.post("fresh", "1")
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	k.post("fresh", "2")
	late := k.join("?channel=fresh&since=" + answer.Position)
	if h := late.hello(); h.Recovered == nil || !*h.Recovered {
		t.Fatalf("hello %+v", h)
	}
	late.message(2)
}

func TestPublishRefusals(t *testing.T) {
	k := startTask(t, publishing)
	for name, c := range map[string]struct {
		channel, body string
		header        []string
		status        int
		code          string
	}{
		"not JSON":                 {"c", "hello", nil, 400, "invalid_json"},
		"no body":                  {"c", "", nil, 400, "invalid_json"},
		"an odd idempotency key":   {"c", "1", []string{"Idempotency-Key", "a b"}, 400, "invalid_key"},
		"a long idempotency key":   {"c", "1", []string{"Idempotency-Key", strings.Repeat("x", 129)}, 400, "invalid_key"},
		"a wrong key":              {"c", "1", []string{"Authorization", "Bearer " + testKey + "x"}, 401, "unauthorized"},
		"half a key":               {"c", "1", []string{"Authorization", "Bearer " + testKey[:5]}, 401, "unauthorized"},
		"no key":                   {"c", "1", []string{"Authorization", ""}, 401, "unauthorized"},
		"another scheme":           {"c", "1", []string{"Authorization", "Basic " + testKey}, 401, "unauthorized"},
		"a channel of that kind":   {"a%20b", "1", nil, 404, "no_channel"},
		"a message over the limit": {"c", `"` + strings.Repeat("x", 1000) + `"`, nil, 413, "too_big"},
		"a form":                   {"c", "1", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_type"},
		"no type":                  {"c", "1", []string{"Content-Type", ""}, 415, "unsupported_type"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := k.post(c.channel, c.body, c.header...)
			var answer struct {
				Error struct{ Code, Message string }
			}
			if json.Unmarshal([]byte(body), &answer) != nil || resp.StatusCode != c.status || answer.Error.Code != c.code || answer.Error.Message == "" {
				t.Fatalf("%s %q; want %d %s", resp.Status, body, c.status, c.code)
			}
			if c.status == 401 && resp.Header.Get("WWW-Authenticate") == "" {
				t.Error("no WWW-Authenticate")
			}
		})
	}
}

func TestPublishIsOffWithoutAKey(t *testing.T) {
	k := startTask(t, nil)
	if resp, body := k.post("c", "1"); resp.StatusCode != 401 || !strings.Contains(body, "--publish-key") {
		t.Errorf("%s %q", resp.Status, body)
	}
}

func TestPublishRate(t *testing.T) {
	k := startTask(t, func(o *Options) { publishing(o); o.Settings.Publish.Rate = 0.001 })
	if resp, body := k.post("c", "1"); resp.StatusCode != 202 {
		t.Fatalf("%s %q", resp.Status, body)
	}
	if resp, body := k.post("c", "1"); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%s %q", resp.Status, body)
	}
}

func TestSameIdempotencyKeyIsTheSameMessage(t *testing.T) {
	k := startTask(t, publishing)
	c := k.join("?channel=c")
	_, first := k.post("c", `"once"`, "Idempotency-Key", "k1")
	resp, again := k.post("c", `"once"`, "Idempotency-Key", "k1")
	if resp.StatusCode != 202 || first != again {
		t.Errorf("%q, then %s %q", first, resp.Status, again)
	}
	k.post("c", `"then"`, "Idempotency-Key", "k2")
	c.expect(`{"message":"once"}`)
	c.expect(`{"message":"then"}`)
}

func TestPublishWithoutABroker(t *testing.T) {
	k := startWithBroker(t, deafBroker{fmt.Errorf("10.0.0.7 refused: %w", hub.ErrUnavailable)}, publishing)
	resp, body := k.post("c", "1")
	if resp.StatusCode != 503 || !strings.Contains(body, "unavailable") || strings.Contains(body, "10.0.0.7") || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%s %q", resp.Status, body)
	}
}

func TestChannelInfo(t *testing.T) {
	k := startTask(t, publishing)
	a := k.join("?channel=c&since=now")
	a.hello()
	k.join("?channel=c")
	a.say("1")
	position := a.message(1)
	r, _ := http.NewRequest(http.MethodGet, k.http.URL+"/channels/c", nil)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 401 {
		t.Errorf("without a key: %s", resp.Status)
	}
	r.Header.Set("Authorization", "Bearer "+testKey)
	if resp, err = http.DefaultClient.Do(r); err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got channelInfo
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Channel != "c" || got.Position != position || got.Subscribers != (subscribers{2, 2, 1, true}) || got.History.Messages != 1 {
		t.Errorf("%+v", got)
	}
}
