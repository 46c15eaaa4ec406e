namespace Megaphone.Bench;

/// <summary>One run of a mode that measures.</summary>
internal interface IBench : IDisposable
{
    /// <summary>The results; complete after <see cref="Run"/>.</summary>
    BenchReport Report { get; }

    /// <summary>Runs the mode.</summary>
    /// <returns>Whether it succeeded.</returns>
    /// <exception cref="IOException">It could not start.</exception>
    bool Run();
}
