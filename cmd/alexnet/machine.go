package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"

	"alexnet/dnn/cpu"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cublaslt"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/dnn/cuda/nvrtc"
	"alexnet/loader/picture"
	"alexnet/plan"

	"github.com/urfave/cli/v2"
)

var devicesCommand = &cli.Command{
	Name:  "devices",
	Usage: "show what this machine offers: the CPU, GPUs, NVIDIA's libraries, and how to get what is missing",
	Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "as JSON"}},
	Action: func(c *cli.Context) error {
		m, err := look()
		if err != nil {
			return err
		}
		if c.Bool("json") {
			e := json.NewEncoder(c.App.Writer)
			e.SetIndent("", "  ")
			return e.Encode(m)
		}
		m.write(c.App.Writer)
		return nil
	},
}

// machine is what alexnet devices -json prints.
type machine struct {
	CPU struct {
		OS             string `json:"os"`
		Arch           string `json:"arch"`
		Cores          int    `json:"cores"`
		MatrixProducts string `json:"matrix_products"`
		JPEG           string `json:"jpeg"` // what decodes it
	} `json:"cpu"`
	Libraries []library `json:"libraries"`
	GPUs      []gpu     `json:"gpus"`
}

type library struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Path    string `json:"path,omitempty"`
	Missing string `json:"missing,omitempty"` // why, and what to do about it
}

type gpu struct {
	Name              string   `json:"name"`
	Model             string   `json:"model"`
	Memory            int64    `json:"memory_bytes"`
	ComputeCapability string   `json:"compute_capability"`
	PCI               string   `json:"pci_bus_id"`
	Peers             []string `json:"peers"` // whose memory it can reach
}

func look() (*machine, error) {
	var m machine
	d, err := cpu.New("cpu")
	if err != nil {
		return nil, err
	}
	m.CPU.OS, m.CPU.Arch, m.CPU.Cores, m.CPU.MatrixProducts = runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), cpu.BLAS()
	if err := d.Close(); err != nil {
		return nil, err
	}
	if m.CPU.JPEG, err = picture.JPEG(); err != nil {
		m.CPU.JPEG = err.Error()
	}
	driver, err := cu.Open()
	if m.add("libcuda", err) {
		m.found(driver.Path(), "for CUDA "+driver.Version())
	}
	dnn, err := cudnn.Open()
	if m.add("libcudnn", err) {
		major, minor, patch := dnn.Version()
		built := dnn.CudartVersion()
		m.found(dnn.Path(), fmt.Sprintf("%d.%d.%d for CUDA %d.%d", major, minor, patch, built/1000, built%1000/10))
	}
	lt, err := cublaslt.Open()
	if m.add("libcublasLt", err) {
		major, minor, patch := lt.Version()
		m.found(lt.Path(), fmt.Sprintf("%d.%d.%d", major, minor, patch))
	}
	rtc, err := nvrtc.Open()
	if m.add("libnvrtc", err) {
		major, minor := rtc.Version()
		m.found(rtc.Path(), fmt.Sprintf("%d.%d", major, minor))
	}
	m.GPUs = []gpu{}
	if driver == nil {
		return &m, nil
	}
	m.GPUs, err = gpus(driver)
	return &m, err
}

// add enters a library, and reports whether it is there.
func (m *machine) add(name string, err error) bool {
	l := library{Name: name}
	if err != nil {
		l.Missing = err.Error()
	}
	m.Libraries = append(m.Libraries, l)
	return err == nil
}

func (m *machine) found(path, version string) {
	l := &m.Libraries[len(m.Libraries)-1]
	l.Path, l.Version = path, version
}

func gpus(driver *cu.Driver) ([]gpu, error) {
	n, err := driver.NumDevices()
	list := make([]gpu, n)
	devices := make([]cu.Device, n)
	for i := range list {
		g := &list[i]
		g.Name, g.Peers = fmt.Sprintf("cuda:%d", i), []string{}
		d, err := driver.GetDevice(i)
		if err != nil {
			return nil, err
		}
		devices[i] = d
		if g.Model, err = driver.Name(d); err != nil {
			return nil, err
		}
		if g.Memory, err = driver.TotalMem(d); err != nil {
			return nil, err
		}
		if g.PCI, err = driver.PCIBusID(d); err != nil {
			return nil, err
		}
		major, minor, err := driver.ComputeCapability(d)
		if err != nil {
			return nil, err
		}
		g.ComputeCapability = fmt.Sprintf("%d.%d", major, minor)
	}
	for i, d := range devices {
		for j, peer := range devices {
			if i == j {
				continue
			}
			can, err := driver.CanAccessPeer(d, peer)
			if err != nil {
				return nil, err
			}
			if can {
				list[i].Peers = append(list[i].Peers, list[j].Name)
			}
		}
	}
	return list, err
}

func (m *machine) write(w io.Writer) {
	fmt.Fprintf(w, "cpu      %s/%s, %d cores in use\n", m.CPU.OS, m.CPU.Arch, m.CPU.Cores)
	fmt.Fprintf(w, "         matrix products: %s\n", m.CPU.MatrixProducts)
	fmt.Fprintf(w, "         JPEG: %s\n", m.CPU.JPEG)
	for _, g := range m.GPUs {
		fmt.Fprintf(w, "%-8s %s, %s, compute capability %s, at %s\n", g.Name, g.Model, plan.Bytes(g.Memory), g.ComputeCapability, g.PCI)
		if len(g.Peers) > 0 {
			fmt.Fprintf(w, "         reaches the memory of %s\n", strings.Join(g.Peers, ", "))
		}
	}
	if len(m.GPUs) > 1 {
		fmt.Fprintln(w, "         CUDA numbers GPUs the fastest first; in the order of nvidia-smi with CUDA_DEVICE_ORDER=PCI_BUS_ID")
	}
	if len(m.GPUs) == 0 {
		fmt.Fprintln(w, "cuda     no GPU can be used")
	}
	fmt.Fprintln(w)
	for _, l := range m.Libraries {
		if l.Missing != "" {
			fmt.Fprintf(w, "%-12s %s\n", l.Name, strings.ReplaceAll(l.Missing, "\n", "\n             "))
			continue
		}
		fmt.Fprintf(w, "%-12s %s, %s\n", l.Name, l.Version, l.Path)
	}
}
