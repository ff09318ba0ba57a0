package hub

// Local is the number of a channel's subscribers in this task. It does not wait.
func (h *Hub) Local(channel string) int {
	h.mu.Lock()
	c := h.channels[channel]
	h.mu.Unlock()
	if c == nil {
		return 0
	}
	i, _ := c.info()
	return i.Subscribers
}
