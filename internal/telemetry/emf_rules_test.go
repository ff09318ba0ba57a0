package telemetry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// The rules of AWS's specification of the Embedded Metric Format, its JSON schema and the limits of CloudWatch it rests
// on, written down from the documents and not from emf.go:
//
//	https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
//	https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
//	https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html

var (
	cloudWatchUnits = strings.Fields(`Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes
		Bits Kilobits Megabits Gigabits Terabits Percent Count Bytes/Second Kilobytes/Second Megabytes/Second
		Gigabytes/Second Terabytes/Second Bits/Second Kilobits/Second Megabits/Second Gigabits/Second Terabits/Second
		Count/Second None`)
	cloudWatchNamespace = regexp.MustCompile(`^[0-9A-Za-z.\-_/#][0-9A-Za-z.\-_/#:]*$`)
)

// emfFaults returns every rule that line (without its line break) breaks; now bounds the timestamp.
func emfFaults(line []byte, now time.Time) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }

	// The older editions of the specification allow 256 KB, the newer 1 MB; 16 KiB is where container runtimes cut a
	// line into pieces, none of which is JSON.
	if len(line) > 16<<10 {
		fault("%d bytes: over 16 KiB", len(line))
	}
	if !utf8.Valid(line) || bytes.ContainsAny(line, "\n\r") {
		fault("not one line of UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	var root map[string]any
	if err := decoder.Decode(&root); err != nil {
		return append(faults, "not a JSON object: "+err.Error())
	}
	if decoder.More() || line[0] != '{' || line[len(line)-1] != '}' {
		fault("there is something beside the JSON object")
	}

	metadata, ok := root["_aws"].(map[string]any)
	if !ok {
		return append(faults, "no _aws object")
	}
	stamp, ok := metadata["Timestamp"].(json.Number)
	if ms, err := stamp.Int64(); !ok || err != nil {
		fault("Timestamp %v is no integer", metadata["Timestamp"])
	} else if at := time.UnixMilli(ms); at.Before(now.Add(-14*24*time.Hour)) || at.After(now.Add(2*time.Hour)) {
		fault("Timestamp %v is over two weeks old or two hours ahead", at)
	}
	directives, ok := metadata["CloudWatchMetrics"].([]any)
	if !ok || len(directives) == 0 {
		return append(faults, "no CloudWatchMetrics array")
	}
	for member := range metadata {
		if member != "Timestamp" && member != "CloudWatchMetrics" {
			fault("_aws has a member %q that the specification does not know", member)
		}
	}
	for _, d := range directives {
		directive, ok := d.(map[string]any)
		if !ok {
			fault("a MetricDirective is no object")
			continue
		}
		faults = append(faults, directiveFaults(directive, root)...)
	}
	return faults
}

func directiveFaults(directive, root map[string]any) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for member := range directive {
		if member != "Namespace" && member != "Dimensions" && member != "Metrics" {
			fault("a MetricDirective has a member %q that the specification does not know", member)
		}
	}
	namespace, ok := directive["Namespace"].(string)
	if !ok || len(namespace) < 1 || len(namespace) > 255 || !cloudWatchNamespace.MatchString(namespace) || strings.HasPrefix(namespace, "AWS/") {
		fault("Namespace %v is not one", directive["Namespace"])
	}

	sets, ok := directive["Dimensions"].([]any)
	if !ok || len(sets) < 1 {
		fault("Dimensions must be an array of at least one DimensionSet")
	}
	for _, s := range sets {
		keys, ok := s.([]any)
		if !ok || len(keys) > 30 {
			fault("DimensionSet %v must be an array of at most 30", s)
		}
		for _, k := range keys {
			key, ok := k.(string)
			if !ok || len(key) < 1 || len(key) > 250 || key[0] == ':' {
				fault("dimension key %v", k)
				continue
			}
			value, ok := root[key].(string)
			if !ok || len(value) > 1024 || strings.TrimSpace(value) == "" || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
				fault("dimension %q refers to %v, which is no string of printable ASCII of at most 1024 characters", key, root[key])
			}
		}
	}

	definitions, ok := directive["Metrics"].([]any)
	if !ok || len(definitions) > 100 {
		fault("Metrics must be an array of at most 100, and has %d", len(definitions))
	}
	seen := map[string]bool{}
	for _, d := range definitions {
		definition, ok := d.(map[string]any)
		if !ok {
			fault("MetricDefinition %v is no object", d)
			continue
		}
		name, ok := definition["Name"].(string)
		// The schema allows 1024 characters, MetricDatum 255.
		if !ok || len(name) < 1 || len(name) > 255 || seen[name] {
			fault("metric name %v is missing, too long or there twice", definition["Name"])
			continue
		}
		seen[name] = true
		for member, value := range definition {
			switch member {
			case "Name":
			case "Unit":
				if unit, ok := value.(string); !ok || !slices.Contains(cloudWatchUnits, unit) {
					fault("metric %q: unit %v", name, value)
				}
			case "StorageResolution":
				if value != json.Number("1") && value != json.Number("60") {
					fault("metric %q: resolution %v", name, value)
				}
			default:
				fault("metric %q has a member %q that the specification does not know", name, member)
			}
		}
		switch target := root[name].(type) {
		case json.Number:
			if !cloudWatchValue(target) {
				fault("metric %q: value %v", name, target)
			}
		case []any:
			if len(target) < 1 || len(target) > 100 {
				fault("metric %q: %d values", name, len(target))
			}
			for _, v := range target {
				if number, ok := v.(json.Number); !ok || !cloudWatchValue(number) {
					fault("metric %q: value %v", name, v)
				}
			}
		default:
			fault("metric %q refers to %v, which is no number and no array of numbers", name, target)
		}
	}
	return faults
}

// cloudWatchValue: MetricDatum takes doubles from -2^360 to 2^360.
func cloudWatchValue(n json.Number) bool {
	v, err := n.Float64()
	return err == nil && math.Abs(v) <= math.Exp2(360)
}

// The validator itself must be able to say no, or the tests that use it say nothing.
func TestTheEMFRulesFindWhatBreaksThem(t *testing.T) {
	now := time.UnixMilli(1574109732004)
	const good = `{"_aws":{"Timestamp":1574109732004,"CloudWatchMetrics":[{"Namespace":"n","Dimensions":[["Service"]],"Metrics":[{"Name":"time","Unit":"Milliseconds","StorageResolution":60}]}]},"Service":"s","time":100,"requestId":"989"}`
	if faults := emfFaults([]byte(good), now); len(faults) > 0 {
		t.Fatalf("the specification's own example is refused: %v", faults)
	}
	for name, edit := range map[string][2]string{
		"text before the object":          {`{"_aws"`, `x {"_aws"`},
		"text after the object":           {`"989"}`, `"989"} x`},
		"no metadata":                     {`"_aws"`, `"aws"`},
		"a timestamp in text":             {`1574109732004`, `"1574109732004"`},
		"a timestamp in seconds":          {`1574109732004`, `1574109732`},
		"a fractional timestamp":          {`1574109732004`, `1574109732004.5`},
		"no namespace":                    {`"Namespace":"n",`, ``},
		"a reserved namespace":            {`"n"`, `"AWS/n"`},
		"a namespace with a space":        {`"n"`, `"a b"`},
		"dimensions not nested":           {`[["Service"]]`, `["Service"]`},
		"no dimension set":                {`[["Service"]]`, `[]`},
		"a dimension that is not there":   {`"Service":"s"`, `"Other":"s"`},
		"a dimension that is no string":   {`"Service":"s"`, `"Service":7`},
		"a blank dimension":               {`"Service":"s"`, `"Service":" "`},
		"a metric that is not there":      {`"time":100`, `"tim":100`},
		"a metric in text":                {`"time":100`, `"time":"100"`},
		"a metric of null":                {`"time":100`, `"time":null`},
		"a metric without values":         {`"time":100`, `"time":[]`},
		"a metric with a text among it":   {`"time":100`, `"time":[1,"2"]`},
		"a metric with 101 values":        {`"time":100`, `"time":[1` + strings.Repeat(",1", 100) + `]`},
		"a metric with values and counts": {`"time":100`, `"time":{"Values":[1],"Counts":[2]}`},
		"a metric beyond 2^360":           {`"time":100`, `"time":1e200`},
		"an unknown unit":                 {`Milliseconds`, `milliseconds`},
		"an unknown resolution":           {`60`, `30`},
		"a metric twice":                  {`[{"Name":"time"`, `[{"Name":"time"},{"Name":"time"`},
		"a metric without a name":         {`"Name":"time",`, ``},
		"101 metrics":                     {`[{"Name":"time"`, `[` + strings.Repeat(`{"Name":"time"},`, 100) + `{"Name":"time"`},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, edit[0]) {
				t.Fatal("the edit changes nothing")
			}
			if faults := emfFaults([]byte(strings.Replace(good, edit[0], edit[1], 1)), now); len(faults) == 0 {
				t.Error("nothing found")
			}
		})
	}
}
