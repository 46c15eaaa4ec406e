namespace Megaphone.Reactor;

/// <summary>When a handler is asked whether, and why, a connection is to be closed.</summary>
internal enum CloseOccasion
{
    /// <summary>In a sweep, which closes some.</summary>
    Sweep,

    /// <summary>In a drain, which leaves nobody.</summary>
    Drain,

    /// <summary>It has not been admitted in time.</summary>
    Late,

    /// <summary>In a look at all, as long as the handler wants one (<see cref="IAcceptHandler{TState}.HasUnfinished"/>).</summary>
    Look,

    /// <summary>An operator wants it closed.</summary>
    Kick,
}
