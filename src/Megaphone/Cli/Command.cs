namespace Megaphone.Cli;

/// <summary>What the binary was asked to do.</summary>
internal enum Command
{
    /// <summary>Run the service until a signal ends it.</summary>
    Run,

    /// <summary>Look at the configuration and at this machine, and say what does not fit.</summary>
    Check,

    /// <summary>Ask a running service's admin endpoint whether it is sound: for container health checks.</summary>
    Health,

    /// <summary>Ask a running service for a reload, and wait for its end.</summary>
    Reload,

    /// <summary>Ask a running service for something else, or give it an order: an <see cref="OperatorCommand"/>.</summary>
    Operator,

    /// <summary>Find out whether this could take the place of a process that runs: that process asks it, in a reload.</summary>
    Rehearse,

    /// <summary>Put load on something.</summary>
    Bench,

    /// <summary>Print the usage.</summary>
    Help,

    /// <summary>Print the version.</summary>
    Version,
}
