using System.Runtime.InteropServices;
using Megaphone.Links;

namespace Megaphone.Hub;

/// <summary>What a TCP backend keeps for each connection, beside what its reactor keeps: 24 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct BackendConnection
{
    /// <summary>The session's id on its link.</summary>
    public ulong Id;

    /// <summary>The index of the session's link in <see cref="HubLinks"/>.</summary>
    public int LinkIndex;

    /// <summary>The state of the session. Reactor only.</summary>
    public SessionLife Life;

    /// <summary>Which backend it is connected to. Reactor only, once connecting.</summary>
    public BackendAttempts Attempts;
}
