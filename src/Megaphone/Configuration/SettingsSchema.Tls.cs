using Megaphone.Ecm;
using Megaphone.Links;
using Megaphone.Tls;
using Megaphone.Values;

namespace Megaphone.Configuration;

/// <content>The keys of TLS, with clients and on links.</content>
internal sealed partial class SettingsSchema
{
    private const string Certificates = "Ecm:Tls:Certificates";
    private const string ExampleCertificate = "/etc/megaphone/example.org.pem";
    private const string ExampleKey = "/etc/megaphone/example.org.key";
    private const string EcmLinkTls = "Ecm:Link:Tls";
    private const string HubTls = "Hub:Tls";
    private const string ExampleHubCertificate = "/etc/megaphone/hub.pem";
    private const string ExampleHubKey = "/etc/megaphone/hub.key";
    private const string ExampleEdgeCertificate = "/etc/megaphone/edge.pem";
    private const string ExampleEdgeKey = "/etc/megaphone/edge.key";
    private const string ExampleCa = "/etc/megaphone/links-ca.pem";

    private EcmTlsOptions? ReadTls(bool wanted)
    {
        List<string> items = [.. _reader.Below(Certificates).Where(name => name.All(char.IsAsciiDigit))];
        if (items.Count == 0) items.Add("0");
        List<CertificateFiles> certificates = [];
        foreach (string item in items)
        {
            string certificate = $"{Certificates}:{item}:Certificate", key = $"{Certificates}:{item}:Key";
            CertificateFiles files = new(
                _reader.Read(certificate, SettingFormats.File(ExampleCertificate), ""),
                _reader.Read(key, SettingFormats.File(ExampleKey), ""),
                ReadNames($"{Certificates}:{item}:Names"));
            certificates.Add(files);
            if (wanted && !_reader.IsGiven(certificate)) _reader.Refuse(certificate, "must be given where clients speak TLS", ExampleCertificate);
            if (wanted && !_reader.IsGiven(key)) _reader.Refuse(key, "must be given where clients speak TLS", ExampleKey);
        }

        TlsServerOptions server = new() { Certificates = certificates };
        EcmTlsOptions defaults = new() { Server = server };
        EcmTlsOptions tls = defaults with
        {
            Server = server with
            {
                AllowTls12 = _reader.Read("Ecm:Tls:MinVersion", SettingFormats.TlsVersion, server.AllowTls12),
                Tickets = _reader.Read("Ecm:Tls:Tickets", ValueFormats.Switch, server.Tickets),
            },
            HandshakeTimeout = Duration("Ecm:Tls:HandshakeTimeout", Moment, Hour, defaults.HandshakeTimeout),
            MaxHandshakes = Number("Ecm:Tls:MaxHandshakes", 1, 65_536, 512, defaults.MaxHandshakes),
        };
        return wanted ? tls : null;
    }

    /// <summary>Certificates that nobody is shown are a listener that was forgotten, which would take passwords in the clear.</summary>
    private void RequireTlsListener(bool speaksTls)
    {
        if (!speaksTls && _reader.Has("Ecm:Tls") is true)
            _reader.Refuse("Ecm:Clients:0:Tls", "must be given, on one listener at least, where there is Ecm:Tls", "starttls");
    }

    private List<string> ReadNames(string section)
    {
        List<string> items = [.. _reader.Below(section).Where(name => name.All(char.IsAsciiDigit))];
        if (items.Count == 0) items.Add("0");
        return [.. items.Select(item => _reader.Read($"{section}:{item}", SettingFormats.Host, "")).Where(name => name.Length > 0)];
    }

    private LinkTlsOptions? ReadConnectTls(HostPort to)
    {
        LinkTlsOptions tls = new()
        {
            Authorities = ReadFile($"{EcmLinkTls}:Ca", ExampleCa),
            PeerName = _reader.Read($"{EcmLinkTls}:Name", ValueFormats.Name with { Example = "hub.example.org" }, to.Host),
            Own = ReadOwn(EcmLinkTls, ExampleEdgeCertificate, ExampleEdgeKey, required: false),
        };
        return _reader.Has(EcmLinkTls) is true ? tls : null;
    }

    private LinkTlsOptions? ReadHubTls()
    {
        bool wanted = _reader.Has(HubTls) is true;
        LinkTlsOptions tls = new()
        {
            Own = ReadOwn(HubTls, ExampleHubCertificate, ExampleHubKey, required: wanted),
            Authorities = ReadFile($"{HubTls}:ClientCa", ExampleCa),
        };
        return wanted ? tls : null;
    }

    /// <summary>A certificate and its key: both or neither.</summary>
    private (string Certificate, string Key)? ReadOwn(string section, string exampleCertificate, string exampleKey, bool required)
    {
        string certificateKey = $"{section}:Certificate", keyKey = $"{section}:Key";
        string? certificate = ReadFile(certificateKey, exampleCertificate), key = ReadFile(keyKey, exampleKey);
        RequireBeside(certificateKey, keyKey, required, exampleCertificate);
        RequireBeside(keyKey, certificateKey, required, exampleKey);
        return certificate is null || key is null ? null : (certificate, key);
    }

    private void RequireBeside(string key, string other, bool anyway, string example)
    {
        bool beside = _reader.IsGiven(other);
        if (!_reader.IsGiven(key) && (anyway || beside)) _reader.Refuse(key, "must be given" + (beside ? $" with {other}" : ""), example);
    }

    /// <summary>The path of a file; null when none is given.</summary>
    private string? ReadFile(string key, string example) =>
        _reader.Read(key, SettingFormats.File(example), "") is { Length: > 0 } path ? path : null;
}
