using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Megaphone.Cores;

/// <summary>The threads of this process, as the kernel schedules them. Not thread-safe.</summary>
internal sealed unsafe partial class ProcessThreads
{
    private const string Folder = "/proc/self/task";
    private const int NoSuchProcess = 3;

    /// <summary>How often the threads are listed until there is no new one.</summary>
    private const int MostPasses = 4;

    private readonly HashSet<string> _known = [];

    /// <summary>The cores that the calling thread may run on.</summary>
    /// <exception cref="IOException">The kernel does not say.</exception>
    public static CoreSet Allowed()
    {
        ulong[] words = CoreSet.NewWords();
        fixed (ulong* mask = words)
        {
            if (GetAffinity(0, CoreSet.Bytes, mask) < 0) throw Failure("sched_getaffinity");
        }

        return new CoreSet(words);
    }

    /// <summary>The core that the calling thread runs on.</summary>
    /// <exception cref="IOException">The kernel does not say.</exception>
    public static int CurrentCore() => GetCore() is >= 0 and var core ? core : throw Failure("sched_getcpu");

    /// <summary>Keeps all threads to these cores, and through them those that they will start.</summary>
    /// <remarks>A thread that is being started at this moment may miss it: whoever wants all of them calls once more, later.</remarks>
    /// <exception cref="IOException">The kernel refuses; or there are no descriptors to list those that are new, the others are kept.</exception>
    public void KeepTo(CoreSet cores)
    {
        // They may have been listed long ago: the number of one that has ended may be that of somebody else's thread by now.
        foreach (string thread in _known.Where(Directory.Exists)) KeepTo(thread, cores);

        // One whose turn has not come may start another meanwhile, for which the old cores hold: so they are listed again.
        HashSet<string> kept = [.. _known];
        for (int before = -1, pass = 0; pass < MostPasses && kept.Count > before; pass++)
        {
            before = kept.Count;
            List();
            foreach (string thread in _known)
            {
                if (kept.Add(thread)) KeepTo(thread, cores);
            }
        }
    }

    /// <summary>For how long those that there are now have waited for a core in all, able to run.</summary>
    /// <exception cref="IOException">The kernel does not say, or there are no descriptors.</exception>
    public TimeSpan Waited()
    {
        long nanoseconds = 0;
        List();
        foreach (string thread in _known)
        {
            try
            {
                nanoseconds += Waited(thread + "/schedstat");
            }
            catch (IOException) when (!Directory.Exists(thread))
            {
                // It has ended.
            }
        }

        return new TimeSpan(nanoseconds / TimeSpan.NanosecondsPerTick);
    }

    private void List()
    {
        string[] threads = Directory.GetDirectories(Folder);
        _known.Clear();
        _known.UnionWith(threads);
    }

    private static long Waited(string path)
    {
        // Three numbers: nanoseconds on a core, nanoseconds waiting for one, and how often it got one.
        Span<byte> line = stackalloc byte[80];
        using SafeFileHandle file = File.OpenHandle(path);
        line = line[..RandomAccess.Read(file, line, 0)];
        ReadOnlySpan<byte> rest = line[(line.IndexOf((byte)' ') + 1)..];
        return long.TryParse(rest[..Math.Max(0, rest.IndexOf((byte)' '))], CultureInfo.InvariantCulture, out long waited)
            ? waited
            : throw new IOException($"{path} does not say for how long the thread has waited");
    }

    private static void KeepTo(string folder, CoreSet cores)
    {
        int thread = int.Parse(Path.GetFileName(folder.AsSpan()), CultureInfo.InvariantCulture);
        fixed (ulong* mask = cores.Words)
        {
            if (SetAffinity(thread, CoreSet.Bytes, mask) < 0 && Marshal.GetLastPInvokeError() != NoSuchProcess) throw Failure("sched_setaffinity");
        }
    }

    private static IOException Failure(string call) => new($"{call}: {Marshal.GetLastPInvokeErrorMessage()}");

    [LibraryImport("libc", EntryPoint = "sched_getaffinity", SetLastError = true)]
    private static partial int GetAffinity(int thread, nuint length, ulong* mask);

    [LibraryImport("libc", EntryPoint = "sched_setaffinity", SetLastError = true)]
    private static partial int SetAffinity(int thread, nuint length, ulong* mask);

    [LibraryImport("libc", EntryPoint = "sched_getcpu", SetLastError = true)]
    private static partial int GetCore();
}
