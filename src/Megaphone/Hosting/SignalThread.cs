using System.Runtime.CompilerServices;
using Megaphone.Interop;

namespace Megaphone.Hosting;

/// <summary>Takes the process's signals, in a thread that waits for them (sigwaitinfo(2)), while every thread has them blocked.</summary>
/// <remarks>So none is lost in a reload: what the thread has not taken waits in the kernel, through the exec, for the next image's thread, as do
/// signals that nobody handles yet. The runtime's own way (<see cref="System.Runtime.InteropServices.PosixSignalRegistration"/>) takes a signal
/// from the kernel a while before it is handled.</remarks>
internal sealed unsafe class SignalThread : IDisposable
{
    /// <summary>A real-time signal that nobody else uses: has the thread look around.</summary>
    private const int WakeUp = 40;

    /// <summary>
    /// SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, SIGSTKFLT, SIGVTALRM, SIGPROF, SIGIO and SIGPWR, with their numbers on x86-64
    /// and arm64: signal(7).
    /// </summary>
    private static readonly int[] Signals = [1, 2, 3, 10, 12, 14, 15, 16, 26, 27, 29, 30, WakeUp];

    private readonly Lock _lock = new();
    private readonly Dictionary<int, Action> _handlers = [];
    private Thread? _thread;
    private volatile bool _isStopping;

    /// <summary>Blocks the signals in all threads: in this one, in those that it makes from now on, and in that for finalizers, which is the only one
    /// that there is before.</summary>
    public static void BlockEverywhere()
    {
        Block();
        LeaveFinalizer();
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    /// <summary>Gives one of the signals its default effect, which is to end the process.</summary>
    public static void TakeEffect(int signal)
    {
        ulong one = SetOf([signal]);
        _ = Libc.SetSignalHandler(signal, Libc.DefaultHandler);
        _ = Libc.Signal(Environment.ProcessId, signal);
        _ = Libc.MaskSignals(Libc.UnblockSignals, &one, null);
    }

    /// <summary>From now on a signal is handled, on the thread.</summary>
    public void Handle(int signal, Action handler)
    {
        lock (_lock) _handlers[signal] = handler;
        if (_thread is { IsAlive: true }) _ = Libc.Signal(Environment.ProcessId, WakeUp);
    }

    /// <summary>Starts the thread, unless it runs; once more after <see cref="Stop"/>.</summary>
    public void Start()
    {
        if (_thread is { IsAlive: true }) return;
        _isStopping = false;
        _thread = new Thread(Run, 256 << 10) { Name = "signals", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Ends the thread. What it has taken is handled then; what comes from now on waits.</summary>
    public void Stop()
    {
        if (_thread is not { IsAlive: true } thread) return;
        _isStopping = true;
        _ = Libc.Signal(Environment.ProcessId, WakeUp);
        thread.Join();
    }

    /// <inheritdoc/>
    public void Dispose() => Stop();

    private static void Block()
    {
        ulong signals = SetOf(Signals);
        _ = Libc.MaskSignals(Libc.BlockSignals, &signals, null);
    }

    [MethodImpl(MethodImplOptions.NoInlining)] // Else what it makes may count as in use.
    private static void LeaveFinalizer() => _ = new BlockingFinalizer();

    private static ulong SetOf(IEnumerable<int> signals) => signals.Aggregate(0UL, (set, signal) => set | (1UL << (signal - 1)));

    private void Run()
    {
        while (!_isStopping)
        {
            ulong handled;
            lock (_lock) handled = SetOf([.. _handlers.Keys, WakeUp]);
            int signal = Libc.WaitForSignal(&handled, null);
            Action? handler;
            lock (_lock) handler = _handlers.GetValueOrDefault(signal);
            handler?.Invoke();
        }
    }

    private sealed class BlockingFinalizer
    {
        ~BlockingFinalizer() => Block();
    }
}
