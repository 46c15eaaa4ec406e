using System.Net;

namespace Megaphone.Reactor;

/// <summary>An address cannot be listened on; the message says which, and why.</summary>
internal sealed class ListenException(EndPoint endPoint, string reason) : IOException($"cannot listen on {endPoint}: {reason}")
{
    /// <summary>The address.</summary>
    public EndPoint EndPoint => endPoint;
}
