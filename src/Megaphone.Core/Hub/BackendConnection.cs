using Megaphone.Links;

namespace Megaphone.Hub;

/// <summary>What a TCP backend keeps for each connection, beside what its reactor keeps: 24 bytes.</summary>
internal struct BackendConnection
{
    /// <summary>The session's id on its link.</summary>
    public ulong Id;

    /// <summary>The session's link, by its place among the hub's.</summary>
    public int Link;

    /// <summary>How far the session has come. Reactor only.</summary>
    public SessionLife Life;

    /// <summary>While connecting, which addresses have been tried. Reactor only, once connecting.</summary>
    public BackendAddresses.Candidates Candidates;
}
