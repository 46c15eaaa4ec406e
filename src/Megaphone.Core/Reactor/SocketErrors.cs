using Megaphone.Interop;
using Megaphone.Metrics;

namespace Megaphone.Reactor;

/// <summary>What an error number of a socket means for its connection.</summary>
internal static class SocketErrors
{
    /// <summary>Why a connection that stood is over.</summary>
    public static CloseReason ReasonFor(int errno) => errno == Errno.TimedOut ? CloseReason.Vanished : CloseReason.SocketError;

    /// <summary>Why an address could not be connected to.</summary>
    public static CloseReason ReasonForConnect(int errno) => errno switch
    {
        Errno.TimedOut => CloseReason.BackendTimeout,
        Errno.TooManyFiles or Errno.TooManyFilesInSystem or Errno.OutOfMemory or Errno.NoBufferSpace => CloseReason.OutOfResources,
        _ => CloseReason.BackendRefused,
    };
}
