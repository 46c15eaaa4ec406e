namespace Megaphone.Reactor;

/// <summary>
/// Names one connection for as long as the process runs: generation (32 bits), reactor (8), slot in its table (24).
/// </summary>
/// <remarks>
/// The generation grows each time a slot is used again and is never 0, so an id is neither 0 nor met twice before a
/// slot has served 2^32 - 1 connections. The generation shows when a request names a connection that no longer exists.
/// </remarks>
internal readonly record struct ConnectionId(ulong Value)
{
    /// <summary>The slots one reactor may have.</summary>
    public const int MaxSlots = 1 << 24;

    /// <summary>The reactors one group may have.</summary>
    public const int MaxReactors = 1 << 8;

    /// <summary>Puts an id together.</summary>
    public ConnectionId(uint generation, int reactor, int slot)
        : this(((ulong)generation << 32) | ((ulong)(uint)reactor << 24) | (uint)slot)
    {
    }

    /// <summary>How often the slot has been used; never 0.</summary>
    public uint Generation => (uint)(Value >> 32);

    /// <summary>Which reactor of the group serves it.</summary>
    public int Reactor => (int)(Value >> 24) & (MaxReactors - 1);

    /// <summary>Where it stands in that reactor's table.</summary>
    public int Slot => (int)Value & (MaxSlots - 1);
}
