using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Megaphone.EndToEnd.Support;

/// <summary>Signals to a process that a test has started.</summary>
internal static partial class Signals
{
    public const int HangUp = 1;
    public const int Interrupt = 2;
    public const int Quit = 3;
    public const int Kill = 9;
    public const int User2 = 12;
    public const int Terminate = 15;
    public const int Continue = 18;
    public const int Stop = 19;

    /// <summary>Sends it, or throws.</summary>
    public static void Send(int process, int signal)
    {
        if (kill(process, signal) != 0) throw new Win32Exception(Marshal.GetLastPInvokeError());
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int kill(int pid, int sig);
}
