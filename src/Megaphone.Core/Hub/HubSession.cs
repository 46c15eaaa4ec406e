using Megaphone.Reactor;

namespace Megaphone.Hub;

/// <summary>One session of a hub: what an id on a link stands for.</summary>
/// <remarks>The link's receiver and the reactor of its backend connection both touch it; each field says whose it is.</remarks>
internal sealed class HubSession(HubLink link, ulong id)
{
    /// <summary>The link that opened it.</summary>
    public HubLink Link { get; } = link;

    /// <summary>The connection id on that link.</summary>
    public ulong Id { get; } = id;

    /// <summary>The connection to the backend; default with <c>echo:</c>. Set once, by the receiver, which alone uses it but for ending the session.</summary>
    public ConnectionId Backend { get; set; }

    /// <summary>The addresses that the backend's name stood for when the session was opened. Reactor only, once connecting.</summary>
    public BackendAddresses.Candidates Candidates { get; set; }

    /// <summary>The ECM ended its direction: what still comes from there is dropped. Receiver only.</summary>
    public bool InputEnded { get; set; }

    /// <summary>We ended ours, or told that the session is over. Reactor only.</summary>
    public bool OutputEnded { get; set; }

    /// <summary>When something was last said, in milliseconds of <see cref="Environment.TickCount64"/>. Any thread.</summary>
    public long LastActivity { get; set; } = Environment.TickCount64;
}
