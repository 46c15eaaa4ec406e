namespace Megaphone.Bench;

/// <summary>One run of one mode.</summary>
internal interface IBench : IDisposable
{
    /// <summary>What it has found out; whole after <see cref="Run"/>.</summary>
    BenchReport Report { get; }

    /// <summary>Runs all of it.</summary>
    /// <returns>Whether everything went well.</returns>
    /// <exception cref="IOException">It could not begin.</exception>
    bool Run();
}
