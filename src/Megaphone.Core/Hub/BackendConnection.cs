using Megaphone.Links;

namespace Megaphone.Hub;

/// <summary>What a TCP backend keeps for each connection, beside what its reactor keeps: 24 bytes.</summary>
internal struct BackendConnection
{
    /// <summary>The session's id on its link.</summary>
    public ulong Id;

    /// <summary>The index of the session's link in <see cref="HubLinks"/>.</summary>
    public int LinkIndex;

    /// <summary>The state of the session. Reactor only.</summary>
    public SessionLife Life;

    /// <summary>While connecting, which addresses have been tried. Reactor only, once connecting.</summary>
    public BackendAddresses.Candidates Candidates;
}
