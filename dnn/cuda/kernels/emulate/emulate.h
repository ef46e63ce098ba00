// CUDA C++ for a C++ compiler: as much of it as the kernels use. A launch runs on
// the thread that asks for it, and everything is that thread's own, so that
// several threads may launch at once.
#define _XOPEN_SOURCE 700
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <utility>

#define __global__
#define __device__
#define __shared__ static thread_local

struct dim3 {
    unsigned x, y, z;
};
static thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

static inline int min(int a, int b) { return b < a ? b : a; }
static inline int max(int a, int b) { return a < b ? b : a; }
static inline long long min(long long a, long long b) { return b < a ? b : a; }
static inline long long max(long long a, long long b) { return a < b ? b : a; }

static inline float __uint_as_float(unsigned u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline unsigned __float_as_uint(float f)
{
    unsigned u;
    memcpy(&u, &f, sizeof u);
    return u;
}

// Where a GPU takes its approximation, which is as near as a float32 can show.
static inline float rsqrtf(float v) { return 1 / sqrtf(v); }

void __syncthreads();

namespace emulate {

// The threads of a block that synchronises are fibers, resumed in turn: each runs
// until its next __syncthreads or its end. A fiber is made once and runs its
// thread of one block after the other. Jumps between the stacks ask nothing of the
// system, as swapcontext would.
struct fiber {
    char *stack;
    jmp_buf at; // where it goes on
    bool done;  // with its thread
};

const size_t stack_bytes = 64 << 10;

static thread_local jmp_buf scheduler;
static thread_local fiber *running;        // null while a thread is no fiber
static thread_local void (*body)(void **); // the kernel, and its arguments
static thread_local void **arguments;
static thread_local bool diverged; // threads of a block did not meet

enum result { done, no_memory, divergence };

// pause_fiber goes back to where the fiber that runs was resumed.
__attribute__((noinline)) static void pause_fiber()
{
    if (!_setjmp(running->at))
        _longjmp(scheduler, 1);
}

static void run_fiber()
{
    for (;;) {
        body(arguments);
        running->done = true;
        pause_fiber();
    }
}

__attribute__((noinline)) static void resume(fiber *f, unsigned thread)
{
    threadIdx.x = thread;
    running = f;
    if (!_setjmp(scheduler))
        _longjmp(f->at, 1);
    running = nullptr;
}

// start begins a thread of a block.
__attribute__((noinline)) static bool start(fiber *f, unsigned thread)
{
    f->done = false;
    if (f->stack) {
        resume(f, thread);
        return true;
    }
    if (!(f->stack = (char *)malloc(stack_bytes)))
        return false;
    ucontext_t c;
    getcontext(&c);
    c.uc_stack.ss_sp = f->stack;
    c.uc_stack.ss_size = stack_bytes;
    c.uc_link = nullptr;
    makecontext(&c, run_fiber, 0);
    threadIdx.x = thread;
    running = f;
    if (!_setjmp(scheduler))
        setcontext(&c);
    running = nullptr;
    return true;
}

// run_block runs the threads of a block, from the last to the first if backwards.
// If the one that comes first ends without having synchronised, none may, and the
// others are plain calls.
static result run_block(fiber *fibers, unsigned threads, bool backwards)
{
    auto nth = [=](unsigned i) { return backwards ? threads - 1 - i : i; };
    if (!start(&fibers[0], nth(0)))
        return no_memory;
    if (fibers[0].done) {
        for (unsigned i = 1; i < threads && !diverged; i++) {
            threadIdx.x = nth(i);
            body(arguments);
        }
        return diverged ? divergence : done;
    }
    for (unsigned i = 1; i < threads; i++)
        if (!start(&fibers[i], nth(i)))
            return no_memory;
    for (;;) {
        unsigned ended = 0;
        for (unsigned i = 0; i < threads; i++)
            ended += fibers[i].done;
        if (ended == threads)
            return done;
        if (ended > 0)
            return divergence;
        for (unsigned i = 0; i < threads; i++)
            resume(&fibers[i], nth(i));
    }
}

template <auto kernel, typename... Params, size_t... I>
void call(void (*)(Params...), void **arguments, std::index_sequence<I...>)
{
    kernel(*(Params *)arguments[I]...);
}

// apply calls a kernel for one thread. arguments holds the address of each.
template <auto kernel, typename... Params>
void apply(void (*signature)(Params...), void **arguments)
{
    call<kernel>(signature, arguments, std::index_sequence_for<Params...>());
}

template <auto kernel>
int launch(void **args, unsigned blocks, unsigned threads, bool backwards)
{
    body = [](void **args) { apply<kernel>(kernel, args); };
    arguments = args;
    diverged = false;
    gridDim = {blocks, 1, 1};
    blockDim = {threads, 1, 1};
    blockIdx = threadIdx = {};
    fiber *fibers = (fiber *)calloc(threads, sizeof(fiber));
    result r = fibers ? done : no_memory;
    for (unsigned i = 0; i < blocks && r == done; i++) {
        blockIdx.x = backwards ? blocks - 1 - i : i;
        r = run_block(fibers, threads, backwards);
    }
    for (unsigned i = 0; fibers && i < threads; i++)
        free(fibers[i].stack);
    free(fibers);
    return r;
}

} // namespace emulate

void __syncthreads()
{
    if (!emulate::running) {
        emulate::diverged = true;
        return;
    }
    emulate::pause_fiber();
}

// KERNEL makes a kernel callable from outside.
#define KERNEL(name)                                                                                             \
    extern "C" __attribute__((visibility("default"))) int emulate_##name(void **args, unsigned blocks, unsigned threads, int backwards) \
    {                                                                                                            \
        return emulate::launch<name>(args, blocks, threads, backwards);                                          \
    }
