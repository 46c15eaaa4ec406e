using Megaphone.Ecm;

namespace Megaphone.Hosting;

/// <summary>What operators' orders need of the service.</summary>
internal interface IDrainable
{
    /// <summary>The ECM; null: it does not run.</summary>
    EcmRole? Ecm { get; }

    /// <summary>A line for each value of the configuration that a reload could not bring into force.</summary>
    IReadOnlyList<string> Unchanged { get; }

    /// <summary>Begins a drain: not ready, no new clients and sessions; the ECM's clients are ended, the hub's sessions stay until they
    /// end.</summary>
    /// <param name="cause">For the log.</param>
    /// <param name="over">In which time clients are ended; null: as it is configured.</param>
    /// <returns>False when it is draining or stopping already.</returns>
    bool Drain(string cause, TimeSpan? over = null);

    /// <summary>Takes back every drain, whether it has ended or not.</summary>
    /// <returns>How many of the hub's links cannot be told; null: it is stopping.</returns>
    int? Undrain();
}
