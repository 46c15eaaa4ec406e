using System.Security.Cryptography;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>One of an ECM's links through all its connections: what its <c>hello</c> says about resuming (section 7 of the link protocol).</summary>
/// <remarks>Used by one connector, and the one connection that it has at a time.</remarks>
/// <param name="number">The number of the link in this process.</param>
internal sealed class LinkSlot(int number)
{
    private Link? _link;

    /// <summary>Names this process, through all its images; random, so that no other has the same.</summary>
    public static string Instance { get; set; } = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));

    /// <summary>The link that is cut, and to be taken up by the next connection; null: the next link is a new one.</summary>
    public Link? Cut => Volatile.Read(ref _link) is { IsCut: true } link ? link : null;

    /// <summary>The link that is up, or was last.</summary>
    public void Set(Link link) => Volatile.Write(ref _link, link);

    /// <summary>The member <c>resume</c> of the next <c>hello</c>.</summary>
    /// <param name="resumed">The link to be taken up; null: a new one.</param>
    /// <param name="window">How many bytes this end may leave unacknowledged.</param>
    public ControlResume Offer(Link? resumed, int window) => new()
    {
        Instance = Instance,
        Slot = number,
        Token = resumed?.Terms!.Token,
        Received = resumed?.Acknowledger!.Received,
        Window = window,
    };
}
