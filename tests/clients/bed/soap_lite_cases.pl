#!/usr/bin/perl
# The cases of Perl's SOAP::Lite, in the manner of scripts around VMware's SDK for Perl: calls by hand, typed by name.
use strict;
use warnings;
use JSON::PP;
use SOAP::Lite;
use HTTP::Cookies;
use Time::HiRes qw(time sleep);

# Values of the types of urn:vim25 are hashes of their members, or text.
package Vim::Deserializer;
our @ISA = ('SOAP::Deserializer');

sub typecast {
    my ($self, $value, $name, $attributes, $children, $type) = @_;
    return undef unless defined $type && $type =~ /^\{urn:vim25\}/;
    return ref $children && @$children ? { map { ($self->decode_object($_))[0, 1] } @$children } : $value;
}

package main;

$ENV{PERL_LWP_SSL_VERIFY_HOSTNAME} = 0;
my $quick = $ENV{BED_QUICK} eq '1';
my $own = "perl-$ENV{BED_ENDPOINT}";
my @cases;
my $soap = SOAP::Lite->proxy(
    "https://$ENV{SERVER_HOST}:$ENV{SERVER_PORT}/sdk",
    cookie_jar => HTTP::Cookies->new(ignore_discard => 1),
    ssl_opts   => { verify_hostname => 0, SSL_verify_mode => 0 },
)->deserializer(Vim::Deserializer->new)->ns('urn:vim25')->autotype(0)->readable(0)->on_action(sub { '"urn:vim25/6.7"' });

sub define { my ($name, $is_quick, $body) = @_; push @cases, [$name, $body] if ($is_quick || !$quick) && index($name, $ENV{BED_CASE} // '') >= 0; }
sub check { my ($condition, $message) = @_; die "$message\n" unless $condition; }

sub this { my ($type, $value) = @_; return SOAP::Data->name('_this')->value($value)->attr({ type => $type }); }
sub ref_of { my ($name, $type, $value) = @_; return SOAP::Data->name($name)->value($value)->attr({ type => $type }); }
sub value { my ($name, $value) = @_; return SOAP::Data->name($name)->value($value); }
sub struct { my ($name, @parts) = @_; return SOAP::Data->name($name)->value(\SOAP::Data->value(@parts)); }

# The answer of a method; a fault is an error whose text begins with the name of its type.
sub call {
    my ($method, @arguments) = @_;
    my $answer = $soap->call(SOAP::Data->name($method)->attr({ xmlns => 'urn:vim25' }), @arguments);
    if ($answer->fault) {
        my ($name) = ref $answer->faultdetail eq 'HASH' ? keys %{ $answer->faultdetail } : ('');
        die "$name: " . $answer->faultstring . "\n";
    }
    return $answer;
}

my $content = call('RetrieveServiceContent', this('ServiceInstance', 'ServiceInstance'))->result;
my ($manager, $collector) = ($content->{sessionManager}, $content->{propertyCollector});

sub one_property {
    my ($type, $object, $path) = @_;
    my $answer = call(
        'RetrieveProperties',
        this('PropertyCollector', $collector),
        struct('specSet',
            struct('propSet', value('type', $type), value('pathSet', $path)),
            struct('objectSet', ref_of('obj', $type, $object))),
    );
    return $answer->valueof('//returnval/propSet/val');
}

sub by_path {
    my ($path) = @_;
    return call('FindByInventoryPath', this('SearchIndex', $content->{searchIndex}), value('inventoryPath', $path))->result;
}

sub wait_for {
    my ($task) = @_;
    while (1) {
        my $state = one_property('Task', $task, 'info.state');
        return if $state eq 'success';
        die 'the task failed: ' . (one_property('Task', $task, 'info.error') // {})->{localizedMessage} . "\n"
          if $state eq 'error';
        sleep 0.1;
    }
}

# Whether an engine of a UUID runs.
sub runs {
    my ($uuid) = @_;
    for my $file (glob '/proc/[0-9]*/cmdline') {
        open my $line, '<', $file or next;
        my $words = do { local $/; <$line> } // '';
        return 1 if $words =~ /^[^\0]*qemu-system-/ && index($words, $uuid) >= 0;
    }
    return 0;
}

my $datacenter = $ENV{BED_ENDPOINT} eq 'center' ? 'Datacenter' : 'ha-datacenter';

define 'a wrong password', 1, sub {
    my $said = eval { call('Login', this('SessionManager', $manager), value('userName', $ENV{SERVER_USER}), value('password', 'wrong')); '' } // $@;
    check($said =~ /^InvalidLogin/, "InvalidLogin, not $said");
    my $session = call('Login', this('SessionManager', $manager), value('userName', $ENV{SERVER_USER}),
        value('password', $ENV{SERVER_PASSWORD}))->result;
    check($session->{userName}, 'a session');
};

define 'a machine by its path', 1, sub {
    my $machine = by_path("$datacenter/vm/bed-guest");
    my $uuid = one_property('VirtualMachine', $machine, 'config.uuid');
    my $state = one_property('VirtualMachine', $machine, 'runtime.powerState');
    check(($state eq 'poweredOn') == runs($uuid), "$state, as the engine");
};

define 'a machine made, driven and destroyed', 1, sub {
    my $folder = by_path("$datacenter/vm");
    my $host = by_path("$datacenter/host");
    my ($compute) = call('RetrieveProperties', this('PropertyCollector', $collector), struct('specSet',
        struct('propSet', value('type', 'Folder'), value('pathSet', 'childEntity')),
        struct('objectSet', ref_of('obj', 'Folder', $host))))->valueof('//returnval/propSet/val/ManagedObjectReference');
    my $pool = one_property('ComputeResource', $compute, 'resourcePool');
    my $name = "$own-life";
    wait_for(call('CreateVM_Task', this('Folder', $folder),
        struct('config', value('name', $name), value('guestId', 'otherLinux64Guest'),
            struct('files', value('vmPathName', '[datastore1]')), value('numCPUs', 1), value('memoryMB', 64)),
        ref_of('pool', 'ResourcePool', $pool))->result);
    check(-e "$ENV{SERVER_DATASTORE}/$name/$name.vmx", 'its .vmx');
    my $machine = by_path("$datacenter/vm/$name");
    my $uuid = one_property('VirtualMachine', $machine, 'config.uuid');
    wait_for(call('PowerOnVM_Task', this('VirtualMachine', $machine))->result);
    check(runs($uuid), 'an engine');
    wait_for(call('PowerOffVM_Task', this('VirtualMachine', $machine))->result);
    check(!runs($uuid), 'no engine');
    wait_for(call('Destroy_Task', this('VirtualMachine', $machine))->result);
    check(!-e "$ENV{SERVER_DATASTORE}/$name", 'no folder');
};

define 'signed out', 1, sub {
    call('Logout', this('SessionManager', $manager));
    my $said = eval { by_path("$datacenter/vm/bed-guest"); '' } // $@;
    check($said =~ /^NotAuthenticated/, "NotAuthenticated, not $said");
};

$| = 1;
my $json = JSON::PP->new->canonical;
print $json->encode({ plan => [map { $_->[0] } @cases] }), "\n";
for my $case (@cases) {
    my ($name, $body) = @$case;
    my $began = time;
    my $passed = eval { $body->(); 1 };
    my %failure = $passed ? () : (command => "SOAP::Lite: $name", said => "$@", expected => 'see what was said');
    print $json->encode({ case => $name, passed => $passed ? JSON::PP::true : JSON::PP::false, seconds => time - $began, %failure }), "\n";
}
