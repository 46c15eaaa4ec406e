using System.Runtime.InteropServices;
using Megaphone.Reactor;

namespace Megaphone.Interop;

/// <summary><c>struct epoll_event</c>, which is packed on x86-64, and only there.</summary>
#if ARM64
[StructLayout(LayoutKind.Sequential)]
#else
[StructLayout(LayoutKind.Sequential, Pack = 1)]
#endif
internal struct EpollEvent
{
    /// <summary>The EPOLL flags.</summary>
    public uint Events;

    /// <summary>What was given when the descriptor was added: a <see cref="ConnectionId"/>, or a number below 2^32.</summary>
    public ulong Data;
}
