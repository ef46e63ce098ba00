package result

import "strings"

// Machine is where the check runs.
type Machine struct {
	CPU     string  `json:"cpu"`
	Kernel  string  `json:"kernel"`
	Driver  string  `json:"driver"` // version of the GPU's kernel module
	Devices Devices `json:"devices"`

	Unset []string `json:"variables_unset,omitempty"` // names, for all that the check starts
}

// Devices is what alexnet devices -json prints.
type Devices struct {
	CPU struct {
		OS             string `json:"os"`
		Arch           string `json:"arch"`
		Cores          int    `json:"cores"`
		MatrixProducts string `json:"matrix_products"`
	} `json:"cpu"`
	Libraries []struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
		Path    string `json:"path,omitempty"`
		Missing string `json:"missing,omitempty"`
	} `json:"libraries"`
	GPUs []GPU `json:"gpus"`
}

// GPU is one of them, as the driver describes it.
type GPU struct {
	Name              string   `json:"name"`
	Model             string   `json:"model"`
	Memory            int64    `json:"memory_bytes"`
	ComputeCapability string   `json:"compute_capability"`
	PCI               string   `json:"pci_bus_id"`
	Peers             []string `json:"peers"`
}

// Missing says why there is no GPU to check, or nothing.
func (m *Machine) Missing() string {
	var names []string
	for _, l := range m.Devices.Libraries {
		if l.Missing != "" {
			names = append(names, l.Name)
		}
	}
	switch {
	case len(names) > 0:
		return "no working " + strings.Join(names, ", ")
	case len(m.Devices.GPUs) == 0:
		return "the driver has none"
	}
	return ""
}

// identity is what figures depend on, in a line.
func (m *Machine) identity() string {
	words := []string{m.CPU, m.Driver}
	for _, l := range m.Devices.Libraries {
		words = append(words, l.Name+" "+l.Version)
	}
	for _, g := range m.Devices.GPUs {
		words = append(words, g.Name+" "+g.Model)
	}
	return strings.Join(words, "; ")
}
