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

    /// <summary>Put load on something.</summary>
    Bench,

    /// <summary>Print the usage.</summary>
    Help,

    /// <summary>Print the version.</summary>
    Version,
}
