// A training step, or a forward pass, of alexnet.net with its columns merged, by oneDNN 2 on the CPU.
//
//     onednn_step BATCH STEPS WEIGHTS PIXELS RATE auto|direct [forward]
//
// prints images per second as one JSON line. "auto" lets oneDNN choose Winograd's convolution. The
// checked steps and the line are as in pytorch_step.py. Build it with
// c++ -O3 -march=native -fopenmp onednn_step.cpp -ldnnl.
#include <dnnl.hpp>
#include <omp.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

using namespace dnnl;
using dims = memory::dims;
using desc = memory::desc;
using tag = memory::format_tag;
using args = std::unordered_map<int, memory>;

static const engine cpu(engine::kind::cpu, 0);
static stream queue(cpu);
static bool training, dropping = false;
static algorithm convolution;
static std::vector<float> numbers;  // that parameters are filled with
static float rate;

static std::vector<std::function<void()>> ops;    // of a step, in their order
static std::vector<std::function<void()>> plans;  // each adds the backward operations of a layer

struct Parameter { memory w, gradient, momentum; };
static std::vector<Parameter> parameters;

// Maps are the results of a layer and, in training, the gradient of the loss with respect to them.
struct Maps { dims shape; memory data, gradient; };

static desc plain(const dims& d, tag t) { return desc(d, memory::data_type::f32, t); }
static desc any(const dims& d) { return plain(d, tag::any); }
static float* floats(const memory& m) { return static_cast<float*>(m.get_data_handle()); }
static long count(const memory& m) { return m.get_desc().get_size() / sizeof(float); }
static prop_kind kind() { return training ? prop_kind::forward_training : prop_kind::forward_inference; }

static void add(const primitive& p, const args& a) {
    ops.push_back([=] { p.execute(queue, a); queue.wait(); });
}

// in returns m in the layout that an operation wants, into which each step copies it if need be.
static memory in(const desc& want, const memory& m) {
    if (m.get_desc() == want) return m;
    memory to(want, cpu);
    add(reorder(m, to), {{DNNL_ARG_FROM, m}, {DNNL_ARG_TO, to}});
    return to;
}

static Maps maps(const dims& shape, const desc& d) {
    return {shape, memory(d, cpu), training ? memory(d, cpu) : memory()};
}

static memory filled(const dims& shape, tag t, const desc& want) {
    memory m(plain(shape, t), cpu), to(want, cpu);
    for (long i = 0; i < count(m); i++) floats(m)[i] = numbers[i % numbers.size()];
    reorder(m, to).execute(queue, m, to);
    queue.wait();
    return to;
}

static void learn(const memory& w, const memory& gradient) {
    Parameter p{w, in(w.get_desc(), gradient), memory(w.get_desc(), cpu)};
    std::fill_n(floats(p.momentum), count(p.momentum), 0.f);
    parameters.push_back(p);
}

// relu_backward: the ReLU itself is part of the operation before it.
static void relu_backward(const Maps& y) {
    ops.push_back([=] {
        float *v = floats(y.data), *d = floats(y.gradient);
        long n = count(y.data);
#pragma omp parallel for simd
        for (long i = 0; i < n; i++) d[i] = v[i] > 0 ? d[i] : 0;
    });
}

static primitive_attr with_relu(bool relu) {
    primitive_attr attr;
    post_ops after;
    if (relu) after.append_eltwise(1, algorithm::eltwise_relu, 0, 0);
    attr.set_post_ops(after);
    return attr;
}

static Maps conv(Maps x, int out, int kernel, int stride, int pad, int groups) {
    long batch = x.shape[0], channels = x.shape[1], side = (x.shape[2] + 2 * pad - kernel) / stride + 1;
    dims shape{out, channels / groups, kernel, kernel}, s{stride, stride}, p{pad, pad};
    if (groups > 1) shape = {groups, out / groups, channels / groups, kernel, kernel};
    bool first = !x.gradient;  // images have none
    dims result{batch, out, side, side};
    desc bias = plain({out}, tag::x);
    convolution_forward::primitive_desc pd({kind(), convolution, first ? any(x.shape) : x.data.get_desc(), any(shape), bias, any(result), s, p, p},
                                           with_relu(true), cpu);
    memory w = filled(shape, groups > 1 ? tag::goihw : tag::oihw, pd.weights_desc()), b = filled({out}, tag::x, bias);
    memory src = in(pd.src_desc(), x.data);
    Maps y = maps(result, pd.dst_desc());
    add(convolution_forward(pd), {{DNNL_ARG_SRC, src}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_BIAS, b}, {DNNL_ARG_DST, y.data}});
    plans.push_back([=] {
        desc dy = y.gradient.get_desc();
        relu_backward(y);
        if (!first) {
            convolution_backward_data::primitive_desc bd({convolution, x.gradient.get_desc(), any(shape), dy, s, p, p}, cpu, pd);
            memory wd = in(bd.weights_desc(), w);
            add(convolution_backward_data(bd), {{DNNL_ARG_DIFF_DST, y.gradient}, {DNNL_ARG_WEIGHTS, wd}, {DNNL_ARG_DIFF_SRC, x.gradient}});
        }
        convolution_backward_weights::primitive_desc bw({convolution, src.get_desc(), any(shape), bias, dy, s, p, p}, cpu, pd);
        memory dw(bw.diff_weights_desc(), cpu), db(bias, cpu);
        add(convolution_backward_weights(bw),
            {{DNNL_ARG_SRC, src}, {DNNL_ARG_DIFF_DST, y.gradient}, {DNNL_ARG_DIFF_WEIGHTS, dw}, {DNNL_ARG_DIFF_BIAS, db}});
        learn(w, dw);
        learn(b, db);
    });
    return y;
}

// halves is a view of m in which each half of the maps stands apart. Where maps lie in blocks, it has
// twice as many images. Where channels are last, it has twice as many pixels.
static memory halves(const memory& m, const dims& d) {
    for (tag t : {tag::nChw16c, tag::nChw8c, tag::nchw})
        if (m.get_desc() == plain(d, t)) return memory(plain({2 * d[0], d[1] / 2, d[2], d[3]}, t), cpu, m.get_data_handle());
    if (m.get_desc() == plain(d, tag::nhwc)) return memory(plain({d[0], d[1] / 2, d[2], 2 * d[3]}, tag::nhwc), cpu, m.get_data_handle());
    throw std::runtime_error("oneDNN chose a layout in which maps cannot be halved");
}

static Maps norm(Maps x) {
    const algorithm across = algorithm::lrn_across_channels;
    const float alpha = 5 * 1e-4f, beta = 0.75f, k = 2;  // oneDNN divides alpha by the size
    Maps y = maps(x.shape, x.data.get_desc());
    memory from = halves(x.data, x.shape), to = halves(y.data, x.shape), kept;
    desc d = from.get_desc();
    lrn_forward::primitive_desc pd({kind(), across, d, 5, alpha, beta, k}, cpu);
    args a{{DNNL_ARG_SRC, from}, {DNNL_ARG_DST, to}};
    if (training) a[DNNL_ARG_WORKSPACE] = kept = memory(pd.workspace_desc(), cpu);
    add(lrn_forward(pd), a);
    plans.push_back([=] {
        lrn_backward::primitive_desc bd({across, d, d, 5, alpha, beta, k}, cpu, pd);
        add(lrn_backward(bd), {{DNNL_ARG_SRC, from}, {DNNL_ARG_WORKSPACE, kept}, {DNNL_ARG_DIFF_DST, halves(y.gradient, x.shape)},
                               {DNNL_ARG_DIFF_SRC, halves(x.gradient, x.shape)}});
    });
    return y;
}

static Maps pool(Maps x) {
    const algorithm most = algorithm::pooling_max;
    const dims stride{2, 2}, window{3, 3}, pad{0, 0};
    long side = (x.shape[2] - 3) / 2 + 1;
    dims result{x.shape[0], x.shape[1], side, side};
    pooling_forward::primitive_desc pd({kind(), most, x.data.get_desc(), any(result), stride, window, pad, pad}, cpu);
    Maps y = maps(result, pd.dst_desc());
    memory kept;
    args a{{DNNL_ARG_SRC, x.data}, {DNNL_ARG_DST, y.data}};
    if (training) a[DNNL_ARG_WORKSPACE] = kept = memory(pd.workspace_desc(), cpu);
    add(pooling_forward(pd), a);
    plans.push_back([=] {
        pooling_backward::primitive_desc bd({most, x.gradient.get_desc(), y.gradient.get_desc(), stride, window, pad, pad}, cpu, pd);
        add(pooling_backward(bd), {{DNNL_ARG_DIFF_DST, y.gradient}, {DNNL_ARG_WORKSPACE, kept}, {DNNL_ARG_DIFF_SRC, x.gradient}});
    });
    return y;
}

// drop sets half of the numbers to zero: those that the mask says, which forward makes.
static void drop(const memory& m, unsigned char* mask, bool make) {
    unsigned step = 0;
    ops.push_back([=]() mutable {
        if (!dropping) return;
        const long block = 4096, n = count(m);
        step++;
#pragma omp parallel for
        for (long from = 0; from < n; from += block) {
            unsigned x = (from + 1) * 2654435761u ^ step * 97;
            for (long i = from; i < std::min(n, from + block); i++) {
                if (make) {
                    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
                    mask[i] = x & 1;
                }
                floats(m)[i] *= mask[i];
            }
        }
    });
}

static Maps full(Maps x, int out, bool last = false) {
    dims shape = x.shape, result{x.shape[0], out};
    shape[0] = out;
    desc bias = plain({out}, tag::x);
    inner_product_forward::primitive_desc pd({kind(), x.data.get_desc(), any(shape), bias, plain(result, tag::nc)}, with_relu(!last), cpu);
    memory w = filled(shape, shape.size() == 4 ? tag::oihw : tag::oi, pd.weights_desc()), b = filled({out}, tag::x, bias);
    Maps y = maps(result, pd.dst_desc());
    add(inner_product_forward(pd), {{DNNL_ARG_SRC, x.data}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_BIAS, b}, {DNNL_ARG_DST, y.data}});
    auto mask = new unsigned char[count(y.data)];  // for as long as the program runs
    if (!last) drop(y.data, mask, true);
    plans.push_back([=] {
        desc dy = y.gradient.get_desc();
        if (!last) {
            drop(y.gradient, mask, false);
            relu_backward(y);
        }
        inner_product_backward_data::primitive_desc bd({x.gradient.get_desc(), any(shape), dy}, cpu, pd);
        memory wd = in(bd.weights_desc(), w);
        add(inner_product_backward_data(bd), {{DNNL_ARG_DIFF_DST, y.gradient}, {DNNL_ARG_WEIGHTS, wd}, {DNNL_ARG_DIFF_SRC, x.gradient}});
        inner_product_backward_weights::primitive_desc bw({x.data.get_desc(), any(shape), bias, dy}, cpu, pd);
        memory dw(bw.diff_weights_desc(), cpu), db(bias, cpu);
        add(inner_product_backward_weights(bw),
            {{DNNL_ARG_SRC, x.data}, {DNNL_ARG_DIFF_DST, y.gradient}, {DNNL_ARG_DIFF_WEIGHTS, dw}, {DNNL_ARG_DIFF_BIAS, db}});
        learn(w, dw);
        learn(b, db);
    });
    return y;
}

// softmax returns the mean loss, and in training sets the gradient of the logits.
static double softmax(const Maps& x) {
    const long batch = x.shape[0], classes = x.shape[1];
    double loss = 0;
#pragma omp parallel for reduction(+ : loss)
    for (long n = 0; n < batch; n++) {
        const float* v = floats(x.data) + n * classes;
        const long label = n % classes;
        double largest = *std::max_element(v, v + classes), sum = 0;
        for (long i = 0; i < classes; i++) sum += std::exp(v[i] - largest);
        loss += std::log(sum) - (v[label] - largest);
        for (long i = 0; training && i < classes; i++)
            floats(x.gradient)[n * classes + i] = (std::exp(v[i] - largest) / sum - (i == label)) / batch;
    }
    return loss / batch;
}

static void update() {
    for (auto& p : parameters) {
        float *w = floats(p.w), *g = floats(p.gradient), *v = floats(p.momentum);
        long n = count(p.w);
#pragma omp parallel for simd
        for (long i = 0; i < n; i++) {
            v[i] = 0.9f * v[i] - rate * (g[i] + 5e-4f * w[i]);
            w[i] += v[i];
        }
    }
}

template <class T>
static std::vector<T> content(const char* path, size_t most) {
    std::ifstream file(path, std::ios::binary);
    std::vector<T> v(most);
    file.read(reinterpret_cast<char*>(v.data()), most * sizeof(T));
    v.resize(file.gcount() / sizeof(T));
    return v;
}

int main(int argc, char** argv) try {
    if (argc < 7) throw std::runtime_error("want BATCH STEPS WEIGHTS PIXELS RATE auto|direct [forward]");
    const long batch = std::atol(argv[1]), steps = std::atol(argv[2]), side = 224;
    training = argc == 7;
    convolution = argv[6] == std::string("direct") ? algorithm::convolution_direct : algorithm::convolution_auto;
    rate = std::atof(argv[5]);
    omp_set_num_threads(omp_get_num_procs());
    numbers = content<float>(argv[3], 1 << 20);
    auto pixels = content<unsigned char>(argv[4], batch * side * side * 3);
    if (numbers.empty() || pixels.size() < size_t(batch * side * side * 3)) throw std::runtime_error("WEIGHTS or PIXELS is too short");
    Maps x{{batch, 3, side, side}, memory(plain({batch, 3, side, side}, tag::nchw), cpu), memory()};
    for (long n = 0; n < batch; n++)
        for (long i = 0; i < side * side; i++)
            for (long c = 0; c < 3; c++) floats(x.data)[(n * 3 + c) * side * side + i] = pixels[(n * side * side + i) * 3 + c];

    x = pool(norm(conv(x, 96, 11, 4, 2, 1)));
    x = pool(norm(conv(x, 256, 5, 1, 2, 2)));
    x = conv(conv(x, 384, 3, 1, 1, 1), 384, 3, 1, 1, 2);
    x = pool(conv(x, 256, 3, 1, 1, 2));
    x = full(full(full(x, 4096), 4096), 1000, true);
    double loss;
    ops.push_back([&] { loss = softmax(x); });
    if (training) {
        for (auto plan = plans.rbegin(); plan != plans.rend(); plan++) (*plan)();
        ops.push_back(update);
    }
    auto step = [] { for (auto& op : ops) op(); };

    step();
    std::string losses = std::to_string(loss);
    if (training) {
        step();
        losses += ", " + std::to_string(loss);
    }
    rate = 1e-6f;  // so that the weights stay small
    dropping = training;
    std::vector<double> took;
    for (long i = 0; i < steps; i++) {
        auto start = std::chrono::steady_clock::now();
        step();
        took.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    std::sort(took.begin(), took.end());
    rusage used;
    getrusage(RUSAGE_SELF, &used);
    const dnnl_version_t* v = dnnl_version();
    std::printf("{\"images_per_second\": %g, \"losses\": [%s], \"peak_rss_bytes\": %ld, \"version\": \"%d.%d.%d\"}\n",
                batch / ((took[(steps - 1) / 2] + took[steps / 2]) / 2), losses.c_str(), used.ru_maxrss * 1024, v->major, v->minor, v->patch);
} catch (const std::exception& e) {
    std::fprintf(stderr, "onednn_step: %s\n", e.what());
    return 1;
}
