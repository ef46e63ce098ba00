package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"alexnet/internal/measure"
	"alexnet/internal/process"
)

// Machine is where the check runs.
type Machine struct {
	CPU     string  `json:"cpu"`
	Kernel  string  `json:"kernel"`
	Driver  string  `json:"driver"` // version of the GPU's kernel module
	Devices Devices `json:"devices"`
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
	GPUs []struct {
		Name              string   `json:"name"`
		Model             string   `json:"model"`
		Memory            int64    `json:"memory_bytes"`
		ComputeCapability string   `json:"compute_capability"`
		PCI               string   `json:"pci_bus_id"`
		Peers             []string `json:"peers"`
	} `json:"gpus"`
}

// look finds out about the machine, as far as it can be.
func look(ctx context.Context, c *check) (Machine, error) {
	m := Machine{
		CPU:    measure.CPU(),
		Kernel: measure.FromFile("/proc/version", "Linux version"),
		Driver: measure.FromFile("/proc/driver/nvidia/version", "NVRM version:"),
	}
	if m.Driver == "" { // not every container shows the file
		if out, err := process.Output(ctx, c.folder, nil, "nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"); err == nil {
			m.Driver = measure.OneLine(string(out))
		}
	}
	out, err := process.Output(ctx, c.folder, nil, c.program(), "devices", "-json")
	if err == nil {
		if err = json.Unmarshal(out, &m.Devices); err != nil {
			err = fmt.Errorf("alexnet devices -json: %w: %.200q", err, out)
		}
	}
	return m, err
}

// missing says why there is no GPU to check, or nothing.
func (m *Machine) missing() string {
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

// devices is the part that shows the machine. Everything else needs what it finds.
func devices(_ context.Context, c *check, p *Part) error {
	m := &c.result.Machine
	gpus := p.table("GPUs", "name", "model", "memory_mib", "compute_capability", "pci_bus_id", "peers")
	for _, g := range m.Devices.GPUs {
		gpus.add(g.Name, g.Model, g.Memory>>20, g.ComputeCapability, g.PCI, strings.Join(g.Peers, " "))
	}
	libraries := p.table("Libraries", "name", "version", "path", "missing")
	var missing []string
	for _, l := range m.Devices.Libraries {
		why, _, _ := strings.Cut(l.Missing, "\n")
		libraries.add(l.Name, l.Version, l.Path, why)
		if l.Missing != "" {
			missing = append(missing, l.Name+": "+l.Missing)
		}
	}
	p.Output = strings.Join(missing, "\n\n")
	if c.lookErr != nil {
		return c.lookErr
	}
	if why := m.missing(); why != "" {
		return errors.New("no GPU can be used: " + why)
	}
	return nil
}
