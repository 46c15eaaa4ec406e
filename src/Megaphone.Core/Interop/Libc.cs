using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

[assembly: DisableRuntimeMarshalling]

namespace Megaphone.Interop;

/// <summary>The system calls that the runtime does not offer. Linux on x86-64 and 64-bit ARM, which differ where <c>ARM64</c> is asked for.</summary>
/// <remarks>Each returns -1 on failure, with errno in <see cref="Marshal.GetLastPInvokeError"/>.</remarks>
internal static unsafe partial class Libc
{
    public const int AfUnix = 1;
    public const int AfInet = 2;
    public const int AfInet6 = 10;
    public const int SockStream = 1;
    public const int SockNonBlock = 0x800;
    public const int SockCloseOnExec = 0x80000;
    public const int SolSocket = 1;
    public const int SoReuseAddress = 2;
    public const int SoError = 4;
    public const int SoKeepAlive = 9;
    public const int SoLinger = 13;
    public const int SoReceiveLowWater = 18;
    public const int IpProtoTcp = 6;
    public const int IpProtoV6 = 41;
    public const int V6Only = 26;
    public const int TcpNoDelay = 1;
    public const int TcpKeepIdle = 4;
    public const int TcpKeepInterval = 5;
    public const int TcpKeepCount = 6;
    public const int TcpInfo = 11;
    public const int TcpCongestion = 13;
    public const int TcpUserTimeout = 18;
    public const int MsgPeek = 0x02;
    public const int MsgTruncate = 0x20;
    public const int MsgDontWait = 0x40;
    public const int MsgNoSignal = 0x4000;
    public const int ShutWrite = 1;
    public const int ShutBoth = 2;
    public const int EpollCloseOnExec = 0x80000;
    public const int EpollAdd = 1;
    public const int EpollDelete = 2;
    public const int EpollModify = 3;
    public const uint EpollIn = 1;
    public const uint EpollPriority = 2;
    public const uint EpollOut = 4;
    public const uint EpollError = 8;
    public const uint EpollHangUp = 16;
    public const uint EpollReadHangUp = 1u << 13;
    public const uint EpollOneShot = 1u << 30;
    public const uint EpollEdge = 1u << 31;
    public const short PollIn = 1;
    public const int EventFdNonBlock = 0x800;
    public const int EventFdCloseOnExec = 0x80000;

    public const int UnshareFolders = 0x200;
    public const int ProtRead = 1;
    public const int ProtWrite = 2;
    public const int MapPrivate = 0x02;
    public const int MapAnonymous = 0x20;
    public const int MapNoReserve = 0x4000;
    public const int AdviseDontNeed = 4;
    public const int AdviseDoNotDump = 16;
    public const int AdviseNoHugePage = 15;
    public const uint MemoryFileCloseOnExec = 1;
    public const int SetDescriptorFlags = 2;
    public const int DescriptorCloseOnExec = 1;
    public const uint CloseRangeCloseOnExec = 4;

    public const int BlockSignals = 0;
    public const int UnblockSignals = 1;
    public const nint DefaultHandler = 0;
    public const int SpawnFileActionsBytes = 80;
    public const int SignalKill = 9;
    public const int WaitNoHang = 1;
    public const int WorkingFolder = -100;
    public const uint StatusBasic = 0x7ff;
    public const int Duplicate = 0;
    public const int DuplicateCloseOnExec = 1030;

    public const int FutexWaitPrivate = 128;
    public const int FutexWakePrivate = 129;
    public const int SetTimerSlack = 29;
    public const int CoreFileSize = 4;
    public const int NumberOfFiles = 7;

    private const string Library = "libc";
#if ARM64
    private const long FutexCall = 98;
#else
    private const long FutexCall = 202;
#endif

    [LibraryImport(Library, EntryPoint = "mmap", SetLastError = true)]
    public static partial void* Map(void* address, nuint length, int protection, int flags, int descriptor, nint offset);

    [LibraryImport(Library, EntryPoint = "munmap", SetLastError = true)]
    public static partial int Unmap(void* address, nuint length);

    [LibraryImport(Library, EntryPoint = "madvise", SetLastError = true)]
    public static partial int Advise(void* address, nuint length, int advice);

    /// <summary>Gives the pages of the heap on which nothing is left back to the kernel, but for so many bytes at its end.</summary>
    [LibraryImport(Library, EntryPoint = "malloc_trim")]
    public static partial int TrimHeap(nuint keep);

    [LibraryImport(Library, EntryPoint = "usleep", SetLastError = true)]
    public static partial int Sleep(uint microseconds);

    [LibraryImport(Library, EntryPoint = "socket", SetLastError = true)]
    public static partial int Socket(int family, int type, int protocol);

    [LibraryImport(Library, EntryPoint = "bind", SetLastError = true)]
    public static partial int Bind(int descriptor, NativeAddress* address, uint length);

    [LibraryImport(Library, EntryPoint = "listen", SetLastError = true)]
    public static partial int Listen(int descriptor, int backlog);

    [LibraryImport(Library, EntryPoint = "accept4", SetLastError = true)]
    public static partial int Accept(int descriptor, NativeAddress* peer, uint* length, int flags);

    [LibraryImport(Library, EntryPoint = "connect", SetLastError = true)]
    public static partial int Connect(int descriptor, NativeAddress* address, uint length);

    [LibraryImport(Library, EntryPoint = "getsockname", SetLastError = true)]
    public static partial int GetSocketName(int descriptor, NativeAddress* address, uint* length);

    [LibraryImport(Library, EntryPoint = "getpeername")]
    public static partial int GetPeerName(int descriptor, NativeAddress* address, uint* length);

    [LibraryImport(Library, EntryPoint = "setsockopt", SetLastError = true)]
    public static partial int SetSocketOption(int descriptor, int level, int option, void* value, uint length);

    [LibraryImport(Library, EntryPoint = "getsockopt", SetLastError = true)]
    public static partial int GetSocketOption(int descriptor, int level, int option, void* value, uint* length);

    [LibraryImport(Library, EntryPoint = "poll", SetLastError = true)]
    public static partial int Poll(PollDescriptor* descriptors, nuint count, int milliseconds);

    [LibraryImport(Library, EntryPoint = "recv", SetLastError = true)]
    public static partial nint Receive(int descriptor, byte* buffer, nuint length, int flags);

    [LibraryImport(Library, EntryPoint = "send", SetLastError = true)]
    public static partial nint Send(int descriptor, byte* buffer, nuint length, int flags);

    [LibraryImport(Library, EntryPoint = "send", SetLastError = true)]
    public static partial nint Send(SafeSocketHandle socket, byte* buffer, nuint length, int flags);

    [LibraryImport(Library, EntryPoint = "sendmsg", SetLastError = true)]
    public static partial nint Send(SafeSocketHandle socket, MessageHeader* message, int flags);

    [LibraryImport(Library, EntryPoint = "shutdown", SetLastError = true)]
    public static partial int Shutdown(int descriptor, int how);

    [LibraryImport(Library, EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int descriptor);

    [LibraryImport(Library, EntryPoint = "epoll_create1", SetLastError = true)]
    public static partial int EpollCreate(int flags);

    [LibraryImport(Library, EntryPoint = "epoll_ctl", SetLastError = true)]
    public static partial int EpollControl(int epoll, int operation, int descriptor, EpollEvent* @event);

    [LibraryImport(Library, EntryPoint = "epoll_wait", SetLastError = true)]
    public static partial int EpollWait(int epoll, EpollEvent* events, int capacity, int timeoutMilliseconds);

    [LibraryImport(Library, EntryPoint = "eventfd", SetLastError = true)]
    public static partial int EventFd(uint initial, int flags);

    [LibraryImport(Library, EntryPoint = "read", SetLastError = true)]
    public static partial nint Read(int descriptor, void* buffer, nuint length);

    [LibraryImport(Library, EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(int descriptor, void* buffer, nuint length);

    [LibraryImport(Library, EntryPoint = "getrlimit", SetLastError = true)]
    public static partial int GetLimit(int resource, ResourceLimit* limit);

    [LibraryImport(Library, EntryPoint = "setrlimit", SetLastError = true)]
    public static partial int SetLimit(int resource, ResourceLimit* limit);

    [LibraryImport(Library, EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int StatusOf(int directory, string path, int flags, uint mask, byte* status);

    [LibraryImport(Library, EntryPoint = "poll")]
    public static partial int Poll(PollRequest* requests, nuint count, int timeoutMilliseconds);

    [LibraryImport(Library, EntryPoint = "access", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Access(string path, int mode);

    [LibraryImport(Library, EntryPoint = "chmod", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int ChangeMode(string path, uint mode);

    [LibraryImport(Library, EntryPoint = "geteuid")]
    public static partial uint EffectiveUser();

    [LibraryImport(Library, EntryPoint = "nanosleep")]
    public static partial int NanoSleep(long* time, long* left);

    [LibraryImport(Library, EntryPoint = "clock_gettime")]
    public static partial int ReadClock(int clock, long* time);

    [LibraryImport(Library, EntryPoint = "prctl")]
    public static partial int ProcessControl(int option, nuint a, nuint b, nuint c, nuint d);

    [LibraryImport(Library, EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int CreateMemoryFile(string name, uint flags);

    [LibraryImport(Library, EntryPoint = "fcntl", SetLastError = true)]
    public static partial int ControlDescriptor(int descriptor, int command, int value);

    [LibraryImport(Library, EntryPoint = "unshare")]
    public static partial int Unshare(int what);

    /// <summary>execve(2): returns only when it has failed.</summary>
    [LibraryImport(Library, EntryPoint = "execve", SetLastError = true)]
    public static partial int Execute(byte* path, byte** arguments, byte** environment);

    /// <summary>posix_spawn(3).</summary>
    /// <returns>0, or the error number.</returns>
    [LibraryImport(Library, EntryPoint = "posix_spawn")]
    public static partial int Spawn(int* process, byte* path, void* actions, void* attributes, byte** arguments, byte** environment);

    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_init")]
    public static partial int BeginFileActions(void* actions);

    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_adddup2")]
    public static partial int AddDuplicate(void* actions, int descriptor, int number);

    /// <summary>The new process closes its descriptors from this number on.</summary>
    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_addclosefrom_np")]
    public static partial int AddCloseFrom(void* actions, int first);

    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_destroy")]
    public static partial int EndFileActions(void* actions);

    /// <summary>statx(2): what is known of a file, in the same places on every architecture.</summary>
    [LibraryImport(Library, EntryPoint = "statx", SetLastError = true)]
    public static partial int GetStatus(int folder, byte* path, int flags, uint wanted, FileStatus* status);

    [LibraryImport(Library, EntryPoint = "waitpid", SetLastError = true)]
    public static partial int WaitFor(int process, int* status, int options);

    [LibraryImport(Library, EntryPoint = "kill", SetLastError = true)]
    public static partial int Signal(int process, int signal);

    [LibraryImport(Library, EntryPoint = "pipe2", SetLastError = true)]
    public static partial int Pipe(int* ends, int flags);

    [LibraryImport(Library, EntryPoint = "pthread_sigmask")]
    public static partial int MaskSignals(int how, ulong* signals, ulong* before);

    /// <summary>sigwaitinfo(2): takes one of these signals, which the calling thread has blocked.</summary>
    /// <returns>Its number; below 0: none.</returns>
    [LibraryImport(Library, EntryPoint = "sigwaitinfo")]
    public static partial int WaitForSignal(ulong* signals, void* details);

    [LibraryImport(Library, EntryPoint = "signal")]
    public static partial nint SetSignalHandler(int signal, nint handler);

    /// <summary>close_range(2): closes a range of descriptors, or with <see cref="CloseRangeCloseOnExec"/> has the next exec do that.</summary>
    [LibraryImport(Library, EntryPoint = "close_range", SetLastError = true)]
    public static partial int CloseRange(uint first, uint last, uint flags);

    /// <summary>futex(2), which has no function of its own.</summary>
    public static long Futex(int* word, int operation, int value) => Call(FutexCall, word, operation, value, null, null, 0);

    [LibraryImport(Library, EntryPoint = "syscall")]
    private static partial long Call(long call, int* word, int operation, int value, void* timeout, int* word2, int value3);

    /// <summary>Sets an option whose value is an int.</summary>
    public static int SetSocketOption(int descriptor, int level, int option, int value) =>
        SetSocketOption(descriptor, level, option, &value, sizeof(int));

    /// <summary>Gets an option whose value is an int.</summary>
    public static int GetSocketOption(int descriptor, int level, int option, out int value)
    {
        int got = 0;
        uint length = sizeof(int);
        int result = GetSocketOption(descriptor, level, option, &got, &length);
        value = got;
        return result;
    }

    /// <summary>The pending error of a socket (SO_ERROR), which this call clears; 0 when there is none.</summary>
    public static int TakeSocketError(int descriptor) =>
        GetSocketOption(descriptor, SolSocket, SoError, out int error) == 0 ? error : Marshal.GetLastPInvokeError();

    /// <summary>Makes the next <see cref="Close"/> abort the connection with RST instead of ending it with FIN.</summary>
    public static void AbortOnClose(int descriptor)
    {
        // struct linger { int l_onoff; int l_linger; }
        long linger = 1;
        _ = SetSocketOption(descriptor, SolSocket, SoLinger, &linger, sizeof(long));
    }

    /// <summary>The kernel's description of an error number, with the number.</summary>
    public static string Describe(int errno) => $"{Marshal.GetPInvokeErrorMessage(errno)} (errno {errno})";
}
