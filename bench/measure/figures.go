package main

import "fmt"

// The figures, by the names they have in the raw results. Each is recorded once a
// repetition unless it says otherwise.
const (
	figIdleRSS       = "idle_rss_kib"           // resident memory a connection holds, user space
	figIdleAnon      = "idle_anon_kib"          // the same without the program's own pages
	figIdleBase      = "idle_base_mib"          // resident memory before the first connection
	figIdleKernel    = "idle_kernel_kib"        // slab memory of the machine, per connection end
	figDeflateRSS    = "idle_deflate_rss_kib"   // as above with permessage-deflate negotiated
	figDeflateAnon   = "idle_deflate_anon_kib"  //
	figResumableRSS  = "idle_resumable_rss_kib" // as above in resumable mode (since=now)
	figFloorTight    = "floor_tight_us"         // CPU of one write(2), writes back to back
	figFloor5        = "floor_5_us"             // one pass every 200 ms
	figFloor20       = "floor_20_us"            // one pass every 50 ms
	figDelivery5     = "delivery_5_us"          // CPU of one delivery at 5 messages a second
	figDelivery20    = "delivery_20_us"         //
	figPass5         = "pass_5_messages"        // messages a pass carried then
	figPass20        = "pass_20_messages"       //
	figPassBurst     = "pass_burst_messages"    //
	figBurst         = "burst_10_us"            // ten messages at once, every 200 ms
	figCeiling       = "ceiling_per_s"          // deliveries a second at the best window
	figCeilingWindow = "ceiling_window"         // that window: messages under way
	figCeilingRound  = "ceiling_round_ms"       // how long each was under way then, by Little's law
	figCeilingServer = "ceiling_server_share"   // of the server's core the server used then
	figCeilingLoad   = "ceiling_load_share"     // of the load's core the load used then
	figUpgrades      = "upgrades_cpu_s"         // CPU of 10,000 upgrades
	figUpgradeRate   = "upgrades_per_s"         // how fast they were taken
	figReady         = "ready_ms"               // exec to the first 200 of /ready, median
	figReadyWorst    = "ready_worst_ms"         // the slowest start
	figDrainTold     = "drain_told"             // connections closed with 1001 and the reason
	figDrainFirst    = "drain_first_s"          // SIGTERM to the first close frame
	figDrainLast     = "drain_last_s"           // SIGTERM to the last close frame
	figDrainDistance = "drain_distance"         // Kolmogorov–Smirnov, against an even spread
	figDrainExit     = "drain_exit_s"           // SIGTERM to the end of the process
	figDrainExitCode = "drain_exit_code"        //
	figBinary        = "binary_mb"              // as `make build` builds it; once
	figDisturbance   = "disturbance"            // of the server's core others used, worst window of fanout and upgrades
)

// windows are how many messages the ceiling's publisher keeps under way. More of
// them let a pass carry more, until what limits is not the number of writes any
// more; and each of them is longer under way.
var windows = []int{32, 128, 512, 1024}

// figWindow is the deliveries a second at one window.
func figWindow(n int) string { return fmt.Sprintf("ceiling_%d_per_s", n) }
